"""The policies in force: whose approvals an action needs. The only writer of their rows.

The worker signs each state of a policy, and the log has its number. A row that was written or removed past the console
is therefore noticed, and the action is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.approvals.models import ApprovalPolicy
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.assignments.catalog import describe_scopes
from kmes.accounts.roles.selectors import role_name
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, is_signed, sign
from logging_reports.choices import Service
from logging_reports.models import LogEntry

POLICY = "kmes approval policy"
# The log's row of each state of a policy.
CHANGED = "approval.policy_changed"
# The action of all jobs that leave an Azure key's current version disabled, whatever else they do.
DISABLE_CURRENT = "set_enabled"
# Actions of which a policy may ask for approvals from some keys or versions on.
COUNTED = frozenset({"cloud_delete", "cloud_purge", "destroy"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StrangePolicy(ConflictError):
    """A policy's row is not as this console wrote it, or is missing; what it is about is refused."""

    code = "strange_policy"


class PolicyKey(NamedTuple):
    """Which policy: of an action everywhere, or of an action on the keys of one scope (``kmes.accounts.scopes``)."""

    action: str
    scope_kind: str = ""
    scope_value: str = ""


@dataclass(frozen=True)
class Requirement:
    """What one policy asks for: this many users of a role, other than the requester, within some hours."""

    action: str
    number: int
    approvals: int
    role: str
    expires_hours: int
    # Whether only approvals count that a passkey signed.
    needs_passkey: bool = False
    # Whether the requester may go on alone in an emergency.
    allows_break_glass: bool = False
    # From how many keys or versions on (``jobs.engine.approval_amounts``).
    least: int = 1
    # The scope of the policy; "" for everywhere.
    scope_kind: str = ""
    scope_value: str = ""

    @property
    def key(self) -> PolicyKey:
        """The policy that asks for it."""
        return PolicyKey(self.action, self.scope_kind, self.scope_value)

    def as_json(self) -> dict[str, Any]:
        """Return it as rows hold it."""
        return asdict(self)


def actions() -> list[tuple[str, str]]:
    """Return the actions that a policy can be about, with their labels."""
    return [(spec.kind, str(spec.approval.label)) for spec in registry if spec.approval and spec.approval.label]


def microseconds(at: datetime) -> int:
    """Return a time as signatures cover it."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def may_be_narrowed(action: str) -> bool:
    """Return whether a policy of an action may be for a scope: it has keys as object."""
    spec = registry.find(action)
    approval = spec.approval if spec is not None else None
    return approval is not None and approval.label is not None and not approval.is_applied_by_requester


def key_of(policy: ApprovalPolicy) -> PolicyKey:
    """Return which policy a row is a state of."""
    return PolicyKey(policy.action, policy.scope_kind, policy.scope_value)


def find_policy(action: str, scope_kind: str = "", scope_value: str = "") -> ApprovalPolicy | None:
    """Return the policy in force, everywhere or for a scope; None while there never was one.

    Raises:
        StrangePolicy: the newest row is not the worker's, or not the newest that the log tells of.
        RequestKeyError: the public halves can't be read.

    """
    return _find_policies([action]).get(PolicyKey(action, scope_kind, scope_value))


def find_policies(wanted: Iterable[str]) -> dict[PolicyKey, ApprovalPolicy]:
    """Return the policies in force of several actions in two queries, ended ones too; raises as ``find_policy`` does."""
    return _find_policies(list(dict.fromkeys(wanted)))


def requirements_of(wanted: Iterable[str]) -> list[Requirement]:
    """Return what the policies of these actions ask for, everywhere and for scopes.

    Which of them a job falls under says ``jobs.engine.approval_amounts``.

    Raises:
        StrangePolicy: one of them is not as this console wrote it.
        RequestKeyError: the public halves can't be read.

    """
    return [
        Requirement(
            *(each.action, each.number, each.approvals, each.role, each.expires_hours),
            needs_passkey=each.needs_passkey,
            allows_break_glass=each.allows_break_glass,
            least=each.least,
            scope_kind=each.scope_kind,
            scope_value=each.scope_value,
        )
        for each in _find_policies(list(dict.fromkeys(wanted))).values()
        if each.approvals
    ]


def actions_of(job: Job) -> tuple[str, ...]:
    """Return the actions that a job and those of its chain do, as far as policies can be about them."""
    spec = registry.find(job.kind)
    own = spec.approval.actions(job) if spec is not None and spec.approval is not None else ()
    linked = (link["kind"] for link in job.params.get("then", ()))
    return (*own, *(kind for kind in linked if kind in registry and registry[kind].approval is not None))


def add_policy(
    *,
    action: str,
    number: int,
    approvals: int,
    role: str,
    expires_hours: int,
    by: str,
    needs_passkey: bool = False,
    allows_break_glass: bool = False,
    least: int = 1,
    scope_kind: str = "",
    scope_value: str = "",
) -> ApprovalPolicy:
    """Add the next state of a policy, within the transaction that writes the log row of its number.

    Raises:
        ConflictError: the policy was changed meanwhile.
        RequestKeyError: the worker's key can't be read.

    """
    current = find_policy(action, scope_kind, scope_value)
    if number != (current.number if current else 0) + 1:
        raise ConflictError(_("The policy was changed meanwhile."), _("Review it again, then change it."))
    policy = ApprovalPolicy(
        action=action,
        number=number,
        approvals=approvals,
        role=role,
        expires_hours=expires_hours,
        needs_passkey=needs_passkey,
        allows_break_glass=allows_break_glass,
        least=least,
        scope_kind=scope_kind,
        scope_value=scope_value,
        changed_by=by,
        changed_at=now(),
    )
    policy.signature = sign(_message_of(policy), Signer.WORKER)
    policy.save(force_insert=True)
    return policy


def label_of(action: str) -> str:
    """Return what an action is called on pages; one of a later release by its name."""
    return dict(actions()).get(action, action)


def label_with_scope(key: PolicyKey) -> str:
    """Return what a policy is about, in words. At most one query."""
    return _labels([key])[0]


def describe_all(requirements: Sequence[Requirement]) -> list[str]:
    """Return what requirements ask for, in words. At most one query for each kind of scope."""
    labels = _labels([each.key for each in requirements])
    return [_describe(each, label) for each, label in zip(requirements, labels, strict=True)]


def describe_scopes_of(keys: Sequence[PolicyKey]) -> list[str]:
    """Return the scopes of policies in words, "everywhere" included. At most one query for each kind of scope."""
    names = iter(describe_scopes([each for each in keys if each.scope_kind]))
    return [next(names) if each.scope_kind else _("everywhere") for each in keys]


def _labels(keys: Sequence[PolicyKey]) -> list[str]:
    return [
        _("%(action)s (%(scope)s)") % {"action": label_of(key.action), "scope": scope}
        if key.scope_kind
        else label_of(key.action)
        for key, scope in zip(keys, describe_scopes_of(keys), strict=True)
    ]


def _describe(requirement: Requirement, label: str) -> str:
    said = ngettext(
        "%(action)s: %(count)d approval by a user with the role %(role)s",
        "%(action)s: %(count)d approvals by users with the role %(role)s",
        requirement.approvals,
    ) % {"action": label, "count": requirement.approvals, "role": role_name(requirement.role)}
    if requirement.least > 1:
        said = _("%(needed)s, from %(count)d keys or versions on") % {"needed": said, "count": requirement.least}
    return _("%(needed)s, signed by a passkey") % {"needed": said} if requirement.needs_passkey else said


def _find_policies(wanted: Sequence[str]) -> dict[PolicyKey, ApprovalPolicy]:
    """Return the policies in force of these actions, everywhere and for scopes, in two queries.

    Raises:
        StrangePolicy: one is not the worker's, is missing, or is not the newest that the log tells of.
        RequestKeyError: the public halves can't be read.

    """
    if not wanted:
        return {}
    rows = ApprovalPolicy.objects.filter(action__in=wanted).order_by("number")
    found = {key_of(each): each for each in rows}
    told = {key: number for key, number in _newest_numbers().items() if key.action in wanted}
    # Also those that the log alone tells of: their rows were taken away.
    for key in sorted({*found, *told}):
        policy, number = found.get(key), told.get(key, 0)
        if policy is None or policy.number != number or not _is_genuine(policy):
            raise StrangePolicy(
                _("The approval policy of “%(action)s” is not as this console wrote it.")
                % {"action": label_with_scope(key)},
                _("Find out who writes to the database, and restore the policy's row from a backup."),
            )
    return found


def _newest_numbers() -> dict[PolicyKey, int]:
    """Return the highest number of each policy that the log tells of."""
    told: dict[PolicyKey, int] = {}
    for data in LogEntry.objects.filter(service=Service.AUDIT, event=CHANGED).values_list("data", flat=True):
        if isinstance(data, dict) and isinstance(data.get("action"), str) and isinstance(data.get("number"), int):
            scope = (data.get("scope_kind", ""), data.get("scope_value", ""))
            key = PolicyKey(data["action"], *map(str, scope))
            told[key] = max(told.get(key, 0), data["number"])
    return told


def _is_genuine(policy: ApprovalPolicy) -> bool:
    try:
        message = _message_of(policy)
    except ValueError:
        return False
    return is_signed(message, bytes(policy.signature), Signer.WORKER)


def _message_of(policy: ApprovalPolicy) -> bytes:
    return encode(
        POLICY,
        {
            "action": policy.action,
            "number": policy.number,
            "approvals": policy.approvals,
            "role": str(policy.role),
            "expires_hours": policy.expires_hours,
            "changed_by": policy.changed_by,
            "changed_at": microseconds(policy.changed_at),
            # Named where it is set only: signatures of earlier releases stay as they are.
            **{name: True for name in ("needs_passkey", "allows_break_glass") if getattr(policy, name)},
            **({"least": policy.least} if policy.least != 1 else {}),
            **({"scope": [policy.scope_kind, policy.scope_value]} if policy.scope_kind or policy.scope_value else {}),
        },
    )
