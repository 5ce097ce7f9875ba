"""What rights are called on pages and in log rows. Which there are, and who has them, stands in ``kmes.accounts.rights``."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from kmes.core.errors import PermissionRefused

# By code, in the order of the pages. As the original console writes them: "Category:Action". Never translated, because log
# rows hold them.
RIGHT_NAMES: dict[str, str] = {
    "console.read": "Console:Read",
    "log.read": "System Logs:Read",
    "log.export": "System Logs:Export",
    "group.manage": "Key Groups:Manage",
    "key.create": "Keys:Create",
    "key.push": "Cloud Keys:Push",
    "key.rotate": "Keys:Rotate",
    "key.disable": "Cloud Keys:Disable",
    "key.destroy": "Keys:Destroy",
    "credential.manage": "Cloud Credentials:Manage",
    "vault.list": "Key Vaults:List",
    "cloud.delete": "Cloud Keys:Delete",
    "cloud.purge": "Cloud Keys:Purge",
    "job.cancel": "Jobs:Cancel",
    "device.manage": "Device:Manage",
    "user.manage": "Users:Manage",
    "role.manage": "Roles:Manage",
    "approval.manage": "Approval Policies:Manage",
    "approval.break_glass": "Break Glass:Use",
    "notice.manage": "Notices:Manage",
    "log.forward": "System Logs:Forward",
    "configuration.manage": "Configuration:Manage",
}


def name_right(right: str) -> str:
    """Return what a right is called. A right of another release has its code for a name."""
    return RIGHT_NAMES.get(right, str(right))


def name_rights(rights: Iterable[str]) -> str:
    """Return the names of rights, in the order of the pages; "none" for none."""
    wanted = frozenset(rights)
    return ", ".join(name for right, name in RIGHT_NAMES.items() if right in wanted) or "none"


def refusal(user_name: str, right: str, *, is_outside: bool = False) -> PermissionRefused:
    """Return the error that tells a user which right they lack. ``is_outside``: they have it for other objects."""
    named = {"name": user_name, "right": name_right(right)}
    if is_outside:
        return PermissionRefused(
            _("%(name)s has the right “%(right)s” only for a scope that does not cover this.") % named,
            _("Ask an administrator for a role that covers it."),
        )
    return PermissionRefused(
        _("%(name)s lacks the right “%(right)s”.") % named, _("Ask an administrator for a role that has it.")
    )


def outside_of_scope(right: str) -> str:
    """Return why an object is left out whose user has the right for other objects only; without a full stop."""
    return _("Outside of the scope of your right “%(right)s”") % {"right": name_right(right)}
