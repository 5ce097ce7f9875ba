"""Changes of cloud credentials that an approval policy can be about. A secret is entered when the change is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds import certificates
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential
from cloudcreds.values import PLAIN_FIELDS, label_of, readable
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, in_words, list_changes, register

# The action of the policy, and the kind of job.
CREDENTIALS = "change_credentials"
CREATE, UPDATE = "credential.create", "credential.update"
_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operations. Those that may have a secret are applied by their form, where it is entered."""
    register(
        Operation(
            name=CREATE, action=CREDENTIALS, describe=_describe_new, form=lambda _values: reverse("cloudcreds:add")
        ),
        Operation(name=UPDATE, action=CREDENTIALS, describe=_describe_update, form=_edit_form, lock=_lock),
        Operation(
            name="credential.use_certificate",
            action=CREDENTIALS,
            describe=_describe_certificate,
            apply=_use_certificate,
            lock=_lock,
        ),
    )


def _edit_form(values: _Values) -> str:
    return reverse("cloudcreds:edit", args=[values["credential"]])


def _lock(values: _Values, _actor: Actor) -> None:
    list(CloudCredential.objects.select_for_update().filter(pk=values["credential"]).values_list("pk", flat=True))


def _secret_facts(values: _Values) -> list[tuple[str, str]]:
    facts = [(_("New client secret"), _("entered when the change is applied"))] if values["has_secret"] else []
    return facts + ([(_("New certificate (SHA-256)"), values["certificate"])] if values["certificate"] else [])


def _describe_new(values: _Values) -> Description:
    return Description(
        subject=values["name"],
        title=_("Add the cloud credential %(name)s") % {"name": values["name"]},
        back=reverse("cloudcreds:list"),
        facts=[
            *((label_of(name), in_words(values[name])) for name in PLAIN_FIELDS if values[name]),
            *_secret_facts(values),
        ],
        effects=[_("Key groups can then push through it.")],
    )


def _find(values: _Values) -> CloudCredential:
    found = CloudCredential.objects.defer("sealed_secret").filter(pk=values["credential"]).first()
    if found is None:
        raise ConflictError(_("The cloud credential was deleted meanwhile."))
    return found


def _describe_update(values: _Values) -> Description:
    credential = _find(values)
    before = readable({name: getattr(credential, name) for name in PLAIN_FIELDS})
    labels = {name: label_of(name) for name in PLAIN_FIELDS}
    return Description(
        subject=credential.name,
        title=_("Change the cloud credential %(name)s") % {"name": credential.name},
        back=credential.get_absolute_url(),
        facts=[
            (_("Cloud credential"), credential.name),
            (_("Saved for the last time as number"), str(credential.lock_version)),
            *list_changes(labels, before, values),
            *_secret_facts(values),
            (_("Key groups"), _groups_of(credential)),
        ],
        effects=[_("From the next job on it signs in with these values.")],
    )


def _groups_of(credential: CloudCredential) -> str:
    return ", ".join(credential.groups.order_by("name").values_list("name", flat=True)[:50]) or "–"


def _describe_certificate(values: _Values) -> Description:
    credential = _find(values)
    waiting = certificates.find_waiting(credential)
    if waiting is None or waiting.thumbprint != values["thumbprint"]:
        raise ConflictError(_("The certificate is no longer waiting to be used."), _("Check the credential's page."))
    after = SignIn.DEVICE_CERTIFICATE.label
    return Description(
        subject=credential.name,
        title=_("Change how the cloud credential %(name)s signs in") % {"name": credential.name},
        back=credential.get_absolute_url(),
        facts=[
            (_("Cloud credential"), credential.name),
            (_("Saved for the last time as number"), str(credential.lock_version)),
            (label_of("sign_in"), f"{credential.get_sign_in_display()} → {after}"),
            (_("New certificate"), waiting.thumbprint),
            (_("Key groups"), _groups_of(credential)),
        ],
        effects=[_("From the next job on it signs in with the certificate. What it signed in with before is removed.")],
    )


def _use_certificate(values: _Values, actor: Actor) -> Applied:
    credential = _find(values)
    certificates.use_waiting(credential=credential, thumbprint=values["thumbprint"], actor=actor)
    message = _("The credential signs in with the certificate. Test its connection next.")
    return Applied(message=message, page=credential.get_absolute_url())
