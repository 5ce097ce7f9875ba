"""Which icon of the sprite stands before an entry of a menu: the same act looks alike on every object.

A name that is missing here gets none; the entry keeps its place in the column.
"""

from __future__ import annotations

from django.utils import translation
from django.utils.functional import Promise

OF_ENTRIES = {
    "add": "plus",
    "all": "job",
    "cancel": "cancel",
    "check_drift": "compare",
    "cloud_delete": "cloud-off",
    "cloud_purge": "purge",
    "cloud_recover": "undo",
    "copy": "copy",
    "copy_identifier": "copy",
    "copy_identifiers": "copy",
    "create": "key",
    "create_pattern": "pattern",
    "credential": "credential",
    "deactivate": "cancel",
    "delete": "trash",
    "destroy": "trash",
    "disable": "cancel",
    "edit": "edit",
    "enable": "enable",
    "end_sessions": "sign-out",
    "failed": "state-bad",
    "give_role": "role",
    "list_vaults": "vault",
    "make_certificate": "certificate",
    "many_check_drift": "compare",
    "many_cloud_delete": "cloud-off",
    "many_rotate": "refresh",
    "many_set_enabled": "cancel",
    "many_synchronize": "cloud-up",
    "mine": "user",
    "open": "open",
    "permissions": "role",
    "properties": "inspector",
    "reactivate": "enable",
    "reschedule": "calendar",
    "reset_factor": "passkey",
    "reset_password": "lock",
    "rotate": "refresh",
    "rotation": "calendar",
    "running": "running",
    "set_tags": "tag",
    "synchronize": "cloud-up",
    "test": "plug",
}
# By the words of the code, whatever language the page is in.
OF_SUBMENUS = {"Add": "plus", "Cloud": "cloud", "Create": "key", "Key groups": "group", "Show": "filter"}


def icon_of(name: str) -> str:
    """Return the icon of the entry called so, "" for none. A retry is called by the right it needs."""
    return "retry" if name.partition("-")[0] == "retry" else OF_ENTRIES.get(name, "")


def icon_of_submenu(label: str | Promise) -> str:
    """Return the icon of a submenu, "" for none."""
    with translation.override(None):
        return OF_SUBMENUS.get(str(label), "")
