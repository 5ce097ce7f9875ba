"""Set approval policy: change whose approvals an action needs. The worker writes it, as it alone signs policies.

A change needs the approvals that the changed policy itself asks for at present. So nobody can take a policy away alone.
A policy for a scope stands beside the one that holds everywhere: adding one takes nothing away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs.approvals.models import ApprovalPolicy
from jobs.choices import OPEN_STATES, JobState
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget
from jobs.engine.approval_policies import (
    COUNTED,
    PolicyKey,
    actions,
    describe_scopes_of,
    find_policies,
    label_of,
    label_with_scope,
    may_be_narrowed,
    requirements_of,
)
from jobs.engine.approver_places import find_approvers
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.spec import Approval, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from kmes.accounts.assignments.catalog import catalog
from kmes.accounts.delegation import begin_change
from kmes.accounts.rights import Right, Role
from kmes.accounts.roles.selectors import is_role, role_name
from kmes.accounts.scopes import ScopeKind
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.columns import cut
from kmes.core.errors import ConflictError, InputError
from logging_reports.redaction import Cleaner

KIND = "set_approval_policy"
MOST_APPROVALS = 5
LONGEST_HOURS = 720
# Policies for scopes that ask for approvals, of one action.
MOST_OF_AN_ACTION = 50
HIGHEST_LEAST = 1000
# What can't be undone, and what goes round that: an account, a role or a credential of one's own.
RECOMMENDED = ("cloud_delete", "cloud_purge", "destroy", "change_users", "change_roles", "change_credentials")
RECOMMENDED_HOURS = 72


def request_set_approval_policy(
    *,
    action: str,
    approvals: int,
    role: str,
    expires_hours: int,
    actor: Actor,
    needs_passkey: bool = False,
    allows_break_glass: bool = False,
    least: int = 1,
    scope_kind: str = "",
    scope: str = "",
    adds: bool = False,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    reason: str = "",
) -> Job:
    """Ask for the policy of an action to be changed, everywhere or for a scope; 0 approvals takes it away.

    ``scope`` names the vault, the key group or the tag, as users type it; or is the value of a policy that there is.
    ``adds``: only where the scope has no policy.

    Raises:
        InputError: a value is not possible, there is no such scope, or too few users have the role.
        ConflictError: the policy is so already, or there are too many.

    """
    if not 0 <= approvals <= MOST_APPROVALS or not 1 <= expires_hours <= LONGEST_HOURS:
        raise InputError(_("Choose up to 5 approvals and up to 720 hours."), field="approvals")
    if not 1 <= least <= (HIGHEST_LEAST if action in COUNTED else 1):
        raise InputError(_("This action needs approvals for one key already."), field="least")
    with transaction.atomic():
        # The role stays until the job is there, which keeps it from being deleted.
        begin_change(actor, Right.APPROVAL_MANAGE)
        if action not in dict(actions()) or not is_role(role):
            raise InputError(_("There is no such action or role."), field="role")
        found = find_policies([action])
        key = _find_key(action, scope_kind, scope, [*found])
        _require_approvers(approvals, role, key, needs_passkey=needs_passkey)
        current = found.get(key)
        if adds and current and current.approvals:
            raise ConflictError(
                _("The scope already has a policy for this action."), _("Change the existing one in the list.")
            )
        before = _values_of(current)
        if approvals and not (current and current.approvals):
            _refuse_too_many(found.values(), scope_kind)
        after = {
            "approvals": approvals,
            "role": role,
            "expires_hours": expires_hours,
            "needs_passkey": needs_passkey and approvals > 0,
            "allows_break_glass": allows_break_glass and approvals > 0,
            "least": least if approvals else 1,
        }
        if before == after or (not current and not approvals and scope_kind):
            raise ConflictError(_("The policy is already set to this."), _("Change a value."))
        with language.of_records():
            subject = label_with_scope(key)
        number = (current.number if current else 0) + 1
        params: dict[str, Any] = {"action": action, "number": number, "before": before, "after": after}
        if scope_kind:
            params |= {"scope_kind": key.scope_kind, "scope_value": key.scope_value}
        new = NewJob(KIND, cut(Job, "subject", subject), params=params, retry_of=retry_of)
        return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def without_recommended_policy() -> list[str]:
    """Return the actions that should need two people and need one, in the order of the page.

    Raises:
        StrangePolicy: a policy is not as this console wrote it.

    """
    asked = {each.action for each in requirements_of(RECOMMENDED) if not each.scope_kind}
    return [action for action, _label in actions() if action in RECOMMENDED and action not in asked]


def request_recommended(*, actor: Actor) -> list[Job]:
    """Ask for the approval of one administrator for each of these actions: all of the changes, or none.

    Raises:
        InputError: there are too few administrators.
        ConflictError: none is left to be changed.

    """
    with transaction.atomic():
        begin_change(actor, Right.APPROVAL_MANAGE)
        left = without_recommended_policy()
        waiting = Job.objects.filter(kind=KIND, state__in=(JobState.AWAITING, *OPEN_STATES))
        requested = {job.params.get("action") for job in waiting if not job.params.get("scope_kind")}
        if not (wanted := [action for action in left if action not in requested]):
            raise ConflictError(
                _("Each of these actions needs two people already, or soon will."), _("Reload the page.")
            )
        return [
            request_set_approval_policy(
                action=action, approvals=1, role=Role.ADMIN, expires_hours=RECOMMENDED_HOURS, actor=actor
            )
            for action in wanted
        ]


def describe_values(values: dict[str, Any] | None) -> str:
    """Return what a policy asks for, in words."""
    if not values or not values["approvals"]:
        return _("no approval needed")
    said = ngettext(
        "%(count)d approval by a user with the role %(role)s, within %(hours)d hours",
        "%(count)d approvals by users with the role %(role)s, within %(hours)d hours",
        values["approvals"],
    ) % {
        "count": values["approvals"],
        "role": role_name(values["role"]),
        "hours": values["expires_hours"],
    }
    if values.get("least", 1) > 1:
        said = _("%(needed)s, from %(count)d keys or versions on") % {"needed": said, "count": values["least"]}
    if values.get("needs_passkey"):
        said = _("%(needed)s, signed by a passkey") % {"needed": said}
    return _("%(needed)s; break glass is allowed") % {"needed": said} if values.get("allows_break_glass") else said


def _values_of(policy: ApprovalPolicy | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    return {
        "approvals": policy.approvals,
        "role": str(policy.role),
        "expires_hours": policy.expires_hours,
        "needs_passkey": policy.needs_passkey,
        "allows_break_glass": policy.allows_break_glass,
        "least": policy.least,
    }


def _require_approvers(approvals: int, role: str, key: PolicyKey, *, needs_passkey: bool) -> None:
    """Refuse a policy that nobody could fulfil.

    Raises:
        InputError: fewer active users have the role, everywhere or for just the scope of the policy.

    """
    users = find_approvers(role, key)
    there = users.count()
    if approvals and there < approvals + 1:
        raise InputError(
            ngettext(
                "Only %(count)d active user has the role %(role)s.",
                "Only %(count)d active users have the role %(role)s.",
                there,
            )
            % {"count": there, "role": role_name(role)},
            _(
                "It takes one more than the approvals, because nobody approves what they request. "
                "Give the role to another user first, or ask for fewer."
            ),
            field="approvals",
        )
    signing = users.filter(passkeys__isnull=False).distinct().count()
    if approvals and needs_passkey and signing < approvals + 1:
        raise InputError(
            ngettext(
                "Only %(count)d active user with the role %(role)s has a passkey.",
                "Only %(count)d active users with the role %(role)s have a passkey.",
                signing,
            )
            % {"count": signing, "role": role_name(role)},
            _("It takes one more than the approvals, because nobody approves what they request."),
            field="needs_passkey",
        )


def key_in(params: Mapping[str, Any]) -> PolicyKey:
    """Return which policy a job changes."""
    return PolicyKey(params["action"], params.get("scope_kind", ""), params.get("scope_value", ""))


def _refuse_too_many(policies: Iterable[ApprovalPolicy], scope_kind: str) -> None:
    """Refuse one more policy for a scope where there are many.

    Raises:
        ConflictError: there are as many as there may be.

    """
    if scope_kind and sum(each.approvals > 0 for each in policies if each.scope_kind) >= MOST_OF_AN_ACTION:
        raise ConflictError(
            _("The action has %(count)d policies for scopes already.") % {"count": MOST_OF_AN_ACTION},
            _("End one, or let one hold for a tag of the key groups."),
        )


def _find_key(action: str, scope_kind: str, scope: str, known: Sequence[PolicyKey]) -> PolicyKey:
    """Return which policy is meant.

    Raises:
        InputError: there is no such scope, or the action has no keys as object.

    """
    if not scope_kind:
        return PolicyKey(action)
    if not may_be_narrowed(action):
        raise InputError(_("A policy of this action holds everywhere: it is not about keys."), field="scope")
    # A scope that is gone is known here still, so that its policy can be ended.
    if (key := PolicyKey(action, scope_kind, scope)) in known:
        return key
    value = catalog().find(scope_kind, scope) if scope_kind in ScopeKind.values else ""
    # The log tells which policies there are, so it has to keep the value as it is.
    if not value or Cleaner().text(value) != value:
        raise InputError(_("There is no such scope."), _("Choose one of the suggestions."), field="scope")
    return PolicyKey(action, scope_kind, value)


def _actions(job: Job) -> tuple[str, ...]:
    """Return the action whose policy is changed; none once that is done, so that a run after a crash can end."""
    policy = find_policies([job.params["action"]]).get(key_in(job.params))
    is_done = policy is not None and policy.number >= job.params["number"]
    return () if is_done else (job.params["action"],)


def _expected(_target: StartTarget) -> tuple[str, ...]:
    return ()


def _plan(job: Job) -> Plan:
    before, after = describe_values(job.params["before"]), describe_values(job.params["after"])
    return Plan(
        title=_("Change the approval policy of “%(action)s”") % {"action": label_with_scope(key_in(job.params))},
        button=_("Change policy"),
        back=reverse("approvals:policies"),
        facts=[
            (_("Action"), label_of(job.params["action"])),
            (_("Holds for"), describe_scopes_of([key_in(job.params)])[0]),
            (_("Now"), before),
            (_("Afterwards"), after),
        ],
        effects=[
            _("From then on the action needs these approvals.")
            if job.params["after"]["approvals"]
            else _("The policy ends.")
        ],
        warnings=_warnings(job.params["after"], is_narrowed=bool(job.params.get("scope_kind"))),
    )


def _warnings(after: dict[str, Any], *, is_narrowed: bool) -> list[str]:
    if not after["approvals"]:
        if is_narrowed:
            return [_("The action then needs there only what its other policies ask for.")]
        return [_("The action then needs no approval.")]
    if after.get("allows_break_glass"):
        return [_("In an emergency, requesters with the right “Break Glass:Use” can then proceed alone.")]
    return []


def _retry(job: Job, given: Given) -> Job:
    key = key_in(job.params)
    scope: dict[str, Any] = {"scope_kind": key.scope_kind, "scope": key.scope_value}
    return request_set_approval_policy(action=key.action, retry_of=job, **scope, **job.params["after"], **given)


SET_APPROVAL_POLICY = JobSpec(
    kind=KIND,
    title=gettext_lazy("Change approval policy"),
    right=Right.APPROVAL_MANAGE,
    wording=Wording("Changing", "Changed", "change"),
    counts_keys=False,
    steps=(Step("set_policy", gettext_lazy("Record the policy")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=False,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=None,
    left_by_cancel=leaves_nothing,
    retry=_retry,
    follow=None,
    # Breaking glass for it would end the policy that allows it.
    approval=Approval(
        label=None,
        actions=_actions,
        expected=_expected,
        plan=_plan,
        allows_break_glass=False,
        changed_scope=lambda job: key_in(job.params)[1:],
    ),
    runner="jobs.kinds.set_approval_policy.runner.RUNNER",
)
