"""Changes of where the keys of a key group go, which an approval policy can be about: in words, and how they are applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.services import APPROVED_FIELDS
from cloudcreds.values import label_of
from cloudcreds.values import readable as readable_credential
from keygroups import azure_names
from keygroups.models import KeyGroup
from keygroups.services import create_group, update_group
from keygroups.values import LABELS, GroupValues, readable
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, in_words, list_changes, register

# The action of the policy, and the kind of job.
DESTINATIONS = "change_destinations"
VERSIONS_LISTED = 20
_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operations."""
    register(
        Operation(
            name="group.create",
            action=DESTINATIONS,
            describe=_describe_new,
            apply=_create,
            lock=_lock_credential,
            about=_vault_of_new,
        ),
        Operation(
            name="group.update",
            action=DESTINATIONS,
            describe=_describe_update,
            apply=_update,
            lock=_lock_group,
            about=_group_of,
        ),
        Operation(
            name="group.adopt_name",
            action=DESTINATIONS,
            describe=_describe_adoption,
            apply=_adopt,
            lock=_lock_group,
            about=_group_of,
        ),
    )


# --- What a change is about --------------------------------------------------------------------
def _find(values: _Values) -> KeyGroup:
    found = KeyGroup.objects.select_related("credential", "vault").filter(pk=values["group"]).first()
    if found is None:
        raise ConflictError(_("The key group was deleted meanwhile."))
    return found


def _read(values: _Values) -> GroupValues:
    """Return what a change asks for, as its form gave it to the service."""
    credential = CloudCredential.objects.defer("sealed_secret").filter(pk=values["credential"]).first()
    if credential is None:
        raise ConflictError(_("The cloud credential was deleted meanwhile."))
    return GroupValues.from_json(values, credential=credential)


def _group_of(values: _Values) -> dict[str, object]:
    return {"group": _find(values)}


def _vault_of_new(values: _Values) -> dict[str, object]:
    """Return the vault of a group that is to be added, so that a user who manages only this vault may request it."""
    url = values["vault"]
    vaults = KeyVault.objects.filter(url__in=[url, f"{url}/"])
    return {"vault": vaults.filter(credential=values["credential"]).first() or vaults.first()}


def _lock_credential(values: _Values, _actor: Actor) -> None:
    list(CloudCredential.objects.select_for_update().filter(pk=values["credential"]).values_list("pk", flat=True))


def _lock_group(values: _Values, actor: Actor) -> None:
    list(KeyGroup.objects.select_for_update().filter(pk=values["group"]).values_list("pk", flat=True))
    if "credential" in values:
        _lock_credential(values, actor)


# --- In words --------------------------------------------------------------------------------------
def _identity(credential: CloudCredential) -> list[tuple[str, str]]:
    """Return to whom a credential signs in, and where: one that leads elsewhere meanwhile is another plan."""
    shown = readable_credential({name: getattr(credential, name) for name in sorted(APPROVED_FIELDS)})
    return [
        (_("Credential: %(field)s") % {"field": label_of(name)}, in_words(text)) for name, text in shown.items() if text
    ]


def _describe_new(values: _Values) -> Description:
    wanted = _read(values)
    return Description(
        subject=wanted.name,
        title=_("Add the key group %(name)s") % {"name": wanted.name},
        back=reverse("keygroups:keys"),
        facts=[
            *((str(LABELS[name]), text) for name, text in readable(wanted).items() if text),
            *_identity(wanted.credential),
        ],
        effects=[_("Keys that are made in it are pushed to this vault, under this name.")],
    )


def _describe_update(values: _Values) -> Description:
    group, wanted = _find(values), _read(values)
    return Description(
        subject=group.name,
        title=_("Change where the keys of %(name)s go") % {"name": group.name},
        back=group.get_absolute_url(),
        facts=[
            (_("Key group"), group.name),
            (_("Saved for the last time as number"), str(group.lock_version)),
            *list_changes(LABELS, readable(group), readable(wanted)),
            *_identity(wanted.credential),
            (_("Keys that are made already"), str(group.keys.count())),
        ],
        effects=[_("From the next push on, its keys go to this vault and name.")],
    )


def _describe_adoption(values: _Values) -> Description:
    group = _find(values)
    listed = {row.azure_version: azure_names.describe_version(row) for row in azure_names.list_strangers(group)}
    versions = [(version, listed.get(version, _("not seen any more"))) for version in values["versions"]]
    more = len(versions) - VERSIONS_LISTED
    return Description(
        subject=group.name,
        title=_("Adopt the Azure key “%(key)s”") % {"key": group.azure_name},
        back=group.get_absolute_url(),
        facts=[
            (_("Key group"), group.name),
            (_("Key Vault"), group.vault.url),
            (_("Azure key name"), group.azure_name),
            *versions[:VERSIONS_LISTED],
            *([(_("Further versions"), str(more))] if more > 0 else []),
        ],
        effects=[
            _(
                "The key group may then push new versions into this key, which others made; each becomes its current one."
            ),
        ],
        warnings=[_("This console did not make that key. Ask its users before adopting it.")],
    )


# --- Applied ---------------------------------------------------------------------------------------
def _create(values: _Values, actor: Actor) -> Applied:
    made = create_group(values=_read(values), actor=actor)
    return Applied(message=_("Key group %(name)s created.") % {"name": made.name}, page=made.get_absolute_url())


def _update(values: _Values, actor: Actor) -> Applied:
    saved = update_group(group=_find(values), values=_read(values), lock_version=values["lock_version"], actor=actor)
    return Applied(message=_("Key group %(name)s saved.") % {"name": saved.name}, page=saved.get_absolute_url())


def _adopt(values: _Values, actor: Actor) -> Applied:
    group = _find(values)
    azure_names.adopt_name(group=group, versions=values["versions"], actor=actor)
    message = _("The Azure key “%(key)s” is adopted. Retry the job that it stopped.") % {"key": group.azure_name}
    return Applied(message=message, page=group.get_absolute_url())
