"""Menu actions of groups and keys that need no job. Jobs register theirs on the same menus."""

from __future__ import annotations

from urllib.parse import urlencode

from django.db.models import Prefetch
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from keygroups.choices import KeyState
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.selection import KeySelection
from keygroups.services import why_not_delete
from keygroups.states import version_shown
from kmes.accounts.rights import Right
from kmes.ui.actions import MenuAction, register

IDENTIFIERS_COPIED = 1000


def key_identifier(key: Key) -> str:
    """Return the URL by which Azure knows the key's version; "" while the vault has none."""
    version = version_shown(key)
    return version.kid if version else ""


def _identifiers(selection: KeySelection | None) -> list[str]:
    """Return the identifiers of the selected keys that the vault has, of the first ones where there are many."""
    if selection is None:
        return []
    # Read once per selection, for the entry and for the reason against it.
    found = selection.__dict__.get("_identifiers")
    if not isinstance(found, list):
        known = Prefetch("cloud_versions", queryset=CloudVersion.objects.order_by("-updated_at"))
        keys = selection.keys().prefetch_related(known)[:IDENTIFIERS_COPIED]
        found = selection.__dict__["_identifiers"] = [each for each in map(key_identifier, keys) if each]
    return found


def _reason_without_identifiers(selection: KeySelection | None) -> str:
    if selection is None or _identifiers(selection):
        return ""
    return _("Not synchronized yet, so Azure has no identifier for them.")


def _reason_without_identifier(key: Key) -> str:
    return "" if key_identifier(key) else _("Not synchronized yet, so Azure has no identifier for it.")


def _edit_url(group: KeyGroup) -> str:
    return reverse("keygroups:group_edit", args=[group.pk])


def _states_of_keys(group: KeyGroup) -> set[str]:
    """Return the states of the group's keys, or "present" alone if that is known. One query per object."""
    known = group.__dict__.get("_states_of_keys")
    if group.__dict__.get("key_count"):
        # A list of groups has counted the present keys, and one of them is enough to know.
        known = {str(KeyState.PRESENT)}
    if not isinstance(known, set):
        known = set(group.keys.order_by().values_list("state", flat=True).distinct())
        group.__dict__["_states_of_keys"] = known
    return known


def _delete_url(group: KeyGroup) -> str:
    """Return the page that deletes the group, or the job that destroys its keys while it has any."""
    if _states_of_keys(group):
        return f"{reverse('jobs:remove')}?{urlencode({'group': group.pk, 'scope': 'local'})}"
    return reverse("keygroups:group_delete", args=[group.pk])


def _reason_against_delete(group: KeyGroup) -> str:
    states = _states_of_keys(group)
    return why_not_delete(group) if states and KeyState.PRESENT not in states else ""


def register_all() -> None:
    """Register the menus of groups, of keys, and of the background of the list."""
    register(
        MenuAction(
            name="add",
            target="groups",
            submenu=gettext_lazy("Add"),
            label=gettext_lazy("Key Group"),
            url=lambda _groups: reverse("keygroups:group_add"),
            right=Right.GROUP_MANAGE,
            method="dialog",
            order=10,
        ),
        MenuAction(
            name="add",
            target="vault",
            submenu=gettext_lazy("Add"),
            label=gettext_lazy("Key Group"),
            url=lambda vault: f"{reverse('keygroups:group_add')}?{urlencode({'credential': vault.credential_id})}",
            right=Right.GROUP_MANAGE,
            method="dialog",
            order=10,
        ),
        MenuAction(
            name="open",
            target="vault",
            label=gettext_lazy("Check vault"),
            url=lambda vault: reverse("keygroups:vault", args=[vault.pk]),
            order=60,
        ),
        MenuAction(
            name="credential",
            target="vault",
            label=gettext_lazy("Open credential"),
            url=lambda vault: vault.credential.get_absolute_url(),
            order=70,
        ),
        MenuAction(
            name="permissions",
            target="vault",
            label=gettext_lazy("Permissions"),
            url=lambda vault: reverse("keygroups:vault_permissions", args=[vault.pk]),
            method="dialog",
            order=80,
        ),
        MenuAction(
            name="permissions",
            target="group",
            label=gettext_lazy("Permissions"),
            url=lambda group: reverse("keygroups:group_permissions", args=[group.pk]),
            method="dialog",
            order=25,
        ),
        MenuAction(
            name="rotation",
            target="selected_groups",
            label=gettext_lazy("Edit Rotation"),
            url=lambda _selection: reverse("keygroups:rotation"),
            right=Right.GROUP_MANAGE,
            method="selection",
            order=40,
        ),
        MenuAction(
            name="reschedule",
            target="selected_groups",
            label=gettext_lazy("Reschedule"),
            url=lambda _selection: reverse("keygroups:reschedule"),
            right=Right.GROUP_MANAGE,
            method="selection",
            order=42,
        ),
        MenuAction(
            name="edit",
            target="group",
            label=gettext_lazy("Edit"),
            url=_edit_url,
            right=Right.GROUP_MANAGE,
            method="dialog",
            order=20,
        ),
        MenuAction(
            name="delete",
            target="group",
            label=gettext_lazy("Delete (local)"),
            url=_delete_url,
            right=Right.GROUP_MANAGE,
            method="dialog",
            danger=True,
            disabled_reason=_reason_against_delete,
            order=90,
        ),
        MenuAction(
            name="copy_identifiers",
            target="keys",
            label=gettext_lazy("Copy key identifiers"),
            url=lambda selection: "\n".join(_identifiers(selection)),
            # Whoever may do nothing else with several keys has no boxes to select them.
            right=Right.KEY_PUSH,
            method="copy",
            disabled_reason=_reason_without_identifiers,
            order=170,
        ),
        MenuAction(
            name="copy_identifier",
            target="key",
            label=gettext_lazy("Copy key identifier"),
            url=key_identifier,
            method="copy",
            disabled_reason=_reason_without_identifier,
            order=70,
        ),
        MenuAction(
            name="properties",
            target="key",
            label=gettext_lazy("Properties"),
            url=lambda key: key.get_absolute_url(),
            order=80,
        ),
    )
