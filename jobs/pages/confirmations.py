"""Which page starts which kind of job: what it asks for, who may, what it shows, what it calls.

One table (``STARTERS``) instead of a view per kind. The services check everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential, KeyVault
from jobs import inquiries, services
from jobs.choices import JobKind
from jobs.models import Job
from jobs.pages.forms import AskedForm, ConnectionTestForm, NamesForm, StartForm, TypedNameForm
from jobs.planning import bulk_plans, plans, repair_plans
from jobs.planning.blockers import sort_to_destroy, sort_to_synchronize
from jobs.planning.plan import Plan
from jobs.proofs import request_proof
from keygroups.drift import is_repairable
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.selection import KeySelection, digest_of_keys
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError


@dataclass(frozen=True)
class Asked:
    """What the address asks a job about."""

    group: KeyGroup | None = None
    keys: tuple[Key, ...] = ()
    version: CloudVersion | None = None
    enabled: bool | None = None
    credential: CloudCredential | None = None
    vault: KeyVault | None = None
    observations: tuple[Observation, ...] = ()
    # How the keys were named where several were picked; None: one by one in the address.
    selection: KeySelection | None = None

    def carried(self) -> list[tuple[str, str]]:
        """Return the form fields that carry a selection on to the next step."""
        if self.selection is None:
            return []
        return [*self.selection.fields(), ("seen", digest_of_keys(self.keys))]


@dataclass(frozen=True)
class Starter:
    """How one kind of job is confirmed and started."""

    right: Right
    # Which of the address's parts must be there; one of them is enough.
    needs: tuple[str, ...]
    plan: Callable[[Asked], Plan]
    start: Callable[[Asked, Any, dict[str, Any]], Job]


def read_asked(kind: JobKind, data: QueryDict) -> Asked | None:
    """Return what the address or a form names, or None when a part is missing or doesn't exist.

    Raises:
        InputError: several keys were to be picked, and none was.
        ConflictError: other keys match than those that were shown.

    """
    selection = KeySelection.read(data)
    if selection is not None:
        return Asked(keys=_selected(selection, seen=data.get("seen", "")), selection=selection)
    form = AskedForm(data)
    if not form.is_valid():
        return None
    found = form.cleaned_data
    keys = tuple(sorted(found["key"], key=lambda key: (key.created_at, key.name)))
    asked = Asked(
        group=found["group"],
        keys=keys,
        version=found["version"],
        enabled=found["enabled"],
        credential=found["credential"],
        vault=found["vault"],
        observations=tuple(found["observation"]),
    )
    needs = STARTERS[kind].needs
    if needs and not any(getattr(asked, need) for need in needs):
        return None
    if kind == JobKind.SET_ENABLED and asked.enabled is None:
        return None
    if asked.vault is not None and asked.credential is not None and asked.vault.credential_id != asked.credential.pk:
        return None
    return asked


def _selected(selection: KeySelection, *, seen: str) -> tuple[Key, ...]:
    keys = tuple(selection.keys())
    if not keys:
        raise InputError(_("No key is selected."), _("Tick the boxes of the keys, or choose all that match."))
    if seen and seen != digest_of_keys(keys):
        raise ConflictError(
            _("Other keys match now than those you were shown; nothing was done."),
            _("Go back to the keys and select them again."),
        )
    return keys


def make_form(kind: JobKind, plan: Plan, data: QueryDict | None, *, asked: Asked, several: bool = False) -> StartForm:
    """Return the form of a kind's confirmation: names, a typed name, a vault, or the bare button."""
    if kind == JobKind.CREATE:
        return NamesForm(data, several=several)
    if kind == JobKind.TEST_CONNECTION:
        return ConnectionTestForm(data, credential=_credential(asked), chosen=asked.vault)
    if plan.typed:
        return TypedNameForm(data, expected=plan.typed)
    return StartForm(data)


def idempotency_key_of(form: StartForm, actor: Actor) -> str:
    """Return the key that makes a doubled submit one job; the user is part of it, "" when the form has none."""
    token = form.cleaned_data.get("idempotency_key")
    return f"{actor.user_id}:{token}" if token else ""


def earlier_job(key: str) -> Job | None:
    """Return the job that was started with this key before."""
    return Job.objects.filter(idempotency_key=key).first() if key else None


def start(kind: JobKind, asked: Asked, form: StartForm, *, actor: Actor) -> Job:
    """Start the job, or return the one this form started before.

    Raises:
        KmesError: the service refused; nothing was done.

    """
    key = idempotency_key_of(form, actor)
    return earlier_job(key) or STARTERS[kind].start(asked, form, {"actor": actor, "idempotency_key": key})


# --- The table -------------------------------------------------------------------------------
def _group(asked: Asked) -> KeyGroup:
    assert asked.group is not None  # read_asked has seen to it
    return asked.group


def _credential(asked: Asked) -> CloudCredential:
    assert asked.credential is not None
    return asked.credential


def _version(asked: Asked) -> CloudVersion:
    assert asked.version is not None
    return asked.version


def _keys_to_push(asked: Asked) -> list[Key]:
    if asked.selection is not None:
        return sort_to_synchronize(asked.keys).ready
    return list(asked.keys) if asked.keys else services.keys_to_synchronize(_group(asked))


def _plan_synchronize(asked: Asked) -> Plan:
    if asked.selection is not None:
        return bulk_plans.plan_synchronize(sort_to_synchronize(asked.keys))
    keys = _keys_to_push(asked)
    group = asked.keys[0].group if asked.keys else _group(asked)
    return plans.plan_synchronize(group, keys, whole_group=not asked.keys)


def _plan_repair(asked: Asked) -> Plan:
    rows = _to_repair(asked)
    return repair_plans.plan_repair(rows[0].group if rows else _group(asked), rows)


def _to_repair(asked: Asked) -> list[Observation]:
    """Return the differences named one by one, else all of the group's that can be set back."""
    if asked.observations:
        return list(asked.observations)
    rows = _group(asked).observations.select_related("group__credential", "group__vault", "version__key")
    return [row for row in rows if is_repairable(row) and row.version_id]


def _keys_to_destroy(asked: Asked) -> list[Key]:
    return list(asked.keys) if asked.selection is None else sort_to_destroy(asked.keys).ready


def _plan_destroy(asked: Asked) -> Plan:
    if asked.selection is not None:
        return bulk_plans.plan_destroy(sort_to_destroy(asked.keys))
    return plans.plan_destroy(asked.keys)


def _start_create(asked: Asked, form: Any, given: dict[str, Any]) -> Job:
    return services.request_create_keys(group=_group(asked), names=form.names(), **given)


def _on_group(request: Callable[..., Job]) -> Callable[[Asked, Any, dict[str, Any]], Job]:
    """Start a kind of job that takes the group and nothing else."""
    return lambda asked, _form, given: request(group=_group(asked), **given)


STARTERS: dict[JobKind, Starter] = {
    JobKind.CREATE: Starter(
        Right.KEY_CREATE, ("group",), lambda asked: plans.plan_create(_group(asked)), _start_create
    ),
    JobKind.SYNCHRONIZE: Starter(
        Right.KEY_PUSH,
        ("keys", "group"),
        _plan_synchronize,
        lambda asked, _form, given: services.request_synchronize(keys=_keys_to_push(asked), **given),
    ),
    JobKind.ROTATE: Starter(
        Right.KEY_ROTATE,
        ("group",),
        lambda asked: plans.plan_rotate(_group(asked)),
        _on_group(services.request_rotation),
    ),
    JobKind.SET_ENABLED: Starter(
        Right.KEY_DISABLE,
        ("version",),
        lambda asked: plans.plan_set_enabled(_version(asked), enabled=bool(asked.enabled)),
        lambda asked, _form, given: services.request_set_enabled(
            version=_version(asked), enabled=bool(asked.enabled), **given
        ),
    ),
    JobKind.CLOUD_DELETE: Starter(
        Right.CLOUD_DELETE,
        ("group",),
        lambda asked: plans.plan_delete(_group(asked)),
        _on_group(services.request_cloud_delete),
    ),
    JobKind.CLOUD_RECOVER: Starter(
        Right.CLOUD_DELETE,
        ("group",),
        lambda asked: plans.plan_recover(_group(asked)),
        _on_group(services.request_cloud_recover),
    ),
    JobKind.CLOUD_PURGE: Starter(
        Right.CLOUD_PURGE,
        ("group",),
        lambda asked: plans.plan_purge(_group(asked)),
        _on_group(services.request_cloud_purge),
    ),
    JobKind.DESTROY: Starter(
        Right.KEY_DESTROY,
        ("keys",),
        _plan_destroy,
        lambda asked, _form, given: services.request_destroy(keys=_keys_to_destroy(asked), **given),
    ),
    JobKind.CHECK_DRIFT: Starter(
        Right.KEY_PUSH,
        ("group",),
        lambda asked: plans.plan_drift(_group(asked)),
        _on_group(inquiries.request_check_drift),
    ),
    JobKind.REPAIR: Starter(
        Right.KEY_DISABLE,
        ("observations", "group"),
        _plan_repair,
        lambda asked, _form, given: services.request_repair(observations=_to_repair(asked), **given),
    ),
    JobKind.TEST_CONNECTION: Starter(
        Right.CREDENTIAL_MANAGE,
        ("credential",),
        lambda asked: plans.plan_connection_test(_credential(asked), asked.vault),
        lambda asked, _form, given: inquiries.request_connection_test(
            credential=_credential(asked), vault=asked.vault, **given
        ),
    ),
    JobKind.LIST_VAULTS: Starter(
        Right.VAULT_LIST,
        ("credential",),
        lambda asked: plans.plan_vault_list(_credential(asked)),
        lambda asked, _form, given: inquiries.request_vault_list(credential=_credential(asked), **given),
    ),
    JobKind.SELF_TEST: Starter(
        Right.DEVICE_MANAGE,
        (),
        lambda _asked: plans.plan_self_test(reverse("hsm:device")),
        lambda _asked, _form, given: inquiries.request_self_test(**given),
    ),
    JobKind.PROVE: Starter(
        Right.KEY_PUSH,
        ("version",),
        lambda asked: plans.plan_proof(_version(asked)),
        lambda asked, _form, given: request_proof(version=_version(asked), **given),
    ),
}
