"""From the address of a start page to a job: reads what it is about, makes the form, starts the job.

What a kind asks and shows is in its spec; the requests check everything again.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential, KeyVault
from jobs.confirmation.forms import StartForm
from jobs.confirmation.start_target import StartTarget
from jobs.engine import fresh_grants
from jobs.models import Job
from jobs.spec import Confirmation, Given
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.selection import KeySelection, digest_of_keys
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError


def _groups() -> QuerySet[KeyGroup]:
    return KeyGroup.objects.select_related("vault", "credential").defer("credential__sealed_secret")


def _keys() -> QuerySet[Key]:
    related = Key.objects.select_related("group__vault", "group__credential")
    return related.defer("wrapped_private", "public_spki", "group__credential__sealed_secret")


def _versions() -> QuerySet[CloudVersion]:
    related = CloudVersion.objects.select_related("key", "vault", "group__vault", "group__credential")
    return related.defer("key__wrapped_private", "key__public_spki", "group__credential__sealed_secret")


def _observations() -> QuerySet[Observation]:
    related = Observation.objects.select_related("group__vault", "group__credential", "version__key")
    return related.defer("version__key__wrapped_private", "group__credential__sealed_secret")


_ENABLED = {"0": False, "1": True}


class TargetForm(forms.Form):
    """Reads what a job is about from the address: ``group``, ``key`` (repeated), ``version``, and so on."""

    group = forms.ModelChoiceField(KeyGroup.objects.none(), required=False)
    key = forms.ModelMultipleChoiceField(Key.objects.none(), required=False)
    version = forms.ModelChoiceField(CloudVersion.objects.none(), required=False)
    observation = forms.ModelMultipleChoiceField(Observation.objects.none(), required=False)
    credential = forms.ModelChoiceField(CloudCredential.objects.none(), required=False)
    vault = forms.ModelChoiceField(KeyVault.objects.none(), required=False)
    enabled = forms.TypedChoiceField(
        choices=[("0", "0"), ("1", "1")], coerce=lambda value: value == "1", empty_value=None, required=False
    )

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        for name, rows in (
            ("group", _groups()),
            ("key", _keys()),
            ("version", _versions()),
            ("observation", _observations()),
            ("credential", CloudCredential.objects.defer("sealed_secret")),
            ("vault", KeyVault.objects.all()),
        ):
            self.fields[name].queryset = rows  # type: ignore[attr-defined]


def read_target(confirmation: Confirmation, data: QueryDict) -> StartTarget | None:
    """Return what the address or a form names, or None when a part is missing or doesn't exist.

    Raises:
        InputError: several keys were to be picked, and none was.
        ConflictError: other keys match than those that were shown.

    """
    selection = KeySelection.read(data)
    if selection is not None:
        keys, enabled = _selected(selection, seen=data.get("seen", "")), _ENABLED.get(data.get("enabled", ""))
        target = StartTarget(keys=keys, selection=selection, enabled=enabled)
        return target if confirmation.is_complete(target) else None
    form = TargetForm(data)
    if not form.is_valid():
        return None
    found = form.cleaned_data
    target = StartTarget(
        group=found["group"],
        keys=tuple(sorted(found["key"], key=lambda key: (key.created_at, key.name))),
        version=found["version"],
        enabled=found["enabled"],
        credential=found["credential"],
        vault=found["vault"],
        observations=tuple(found["observation"]),
    )
    is_named = not confirmation.needs or any(getattr(target, need) for need in confirmation.needs)
    return target if is_named and confirmation.is_complete(target) and _belongs_together(target) else None


def _belongs_together(target: StartTarget) -> bool:
    """Return whether a vault that is named is one of the credential that is named."""
    vault, credential = target.vault, target.credential
    return vault is None or credential is None or vault.credential_id == credential.pk


def _selected(selection: KeySelection, *, seen: str) -> tuple[Key, ...]:
    keys = tuple(selection.keys())
    if not keys:
        raise InputError(_("No key is selected."), _("Tick the boxes of the keys, or choose all that match."))
    if seen and seen != digest_of_keys(keys):
        raise ConflictError(
            _("The matching keys have changed since they were shown. Nothing was done."),
            _("Go back to the keys and select them again."),
        )
    return keys


def idempotency_key_of(form: StartForm, actor: Actor) -> str:
    """Return the key that makes a doubled submit one job; the user is part of it, "" when the form has none."""
    token = form.cleaned_data.get("idempotency_key")
    return f"{actor.user_id}:{token}" if token else ""


def reason_in(form: StartForm) -> Given:
    """Return the reason for approvers, where the form asks for one."""
    return {"reason": form.cleaned_data["reason"]} if "reason" in form.fields else {}


def earlier_job(key: str) -> Job | None:
    """Return the job that was started with this key before."""
    return Job.objects.filter(idempotency_key=key).first() if key else None


def start(
    confirmation: Confirmation, target: StartTarget, form: StartForm, *, actor: Actor, awaits_grants: bool
) -> Job:
    """Start the job, or return the one this form started before.

    ``awaits_grants``: it waits where a right is missing, because whoever starts it has just granted it.

    Raises:
        KmesError: the request was refused; nothing was done.

    """
    key = idempotency_key_of(form, actor)
    given: dict[str, Any] = {"actor": actor, "idempotency_key": key, **reason_in(form)}
    if (earlier := earlier_job(key)) is not None:
        return earlier
    with transaction.atomic():
        job = confirmation.start(target, form, given)
        if awaits_grants:
            fresh_grants.await_grants(job)
    return job
