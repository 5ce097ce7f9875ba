"""Descriptions of rights and built-in roles, for the pages of roles and users and for log rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import User
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.core.right_names import name_right

ROLE_DESCRIPTIONS: dict[str, str | Promise] = {
    Role.ADMIN: _("Runs the console: users, devices, credentials, configuration. Has every right."),
    Role.CUSTODIAN: _("Keeps the keys: makes groups and keys, pushes, rotates, destroys; no credentials, no purge."),
    Role.OPERATOR: _("Does the daily work: pushes and rotates what custodians made."),
    Role.AUDITOR: _("Reads everything and exports the logs; changes nothing."),
}

AREAS: tuple[tuple[str | Promise, dict[Right, str | Promise]], ...] = (
    (
        _("Reading"),
        {
            Right.CONSOLE_READ: _("View all pages except logs"),
            Right.LOG_READ: _("View the System Logs"),
            Right.LOG_EXPORT: _("Export log rows"),
        },
    ),
    (
        _("Keys"),
        {
            Right.GROUP_MANAGE: _("Add, change and delete key groups and their rotation policy"),
            Right.KEY_CREATE: _("Make keys in the HSM"),
            Right.KEY_PUSH: _("Synchronize keys to the vault, and compare a group with its vault"),
            Right.KEY_ROTATE: _("Force a rotation, and let scheduled rotations go on after they were held"),
            Right.KEY_DISABLE: _("Enable and disable versions in the vault"),
            Right.KEY_DESTROY: _("Destroy key material here, permanently"),
        },
    ),
    (
        _("Cloud"),
        {
            Right.CREDENTIAL_MANAGE: _("Add, change, test and delete cloud credentials"),
            Right.VAULT_LIST: _("Ask Azure which vaults a cloud credential can see"),
            Right.CLOUD_DELETE: _("Delete a key in the vault, and recover it"),
            Right.CLOUD_PURGE: _("Purge a deleted key from the vault, permanently"),
            Right.JOB_CANCEL: _("Cancel jobs"),
        },
    ),
    (
        _("Administration"),
        {
            Right.DEVICE_MANAGE: _("Designate the device that pushes, and run its self-test"),
            Right.USER_MANAGE: _("Add users, change their roles, reset passwords, unlock sign-ins"),
            Right.ROLE_MANAGE: _("Add, change and delete roles"),
            Right.APPROVAL_MANAGE: _("Change which actions need the approval of others, and review broken glass"),
            Right.APPROVAL_BREAK_GLASS: _(
                "Break glass: in an emergency go on with one's own request without approvals, where the policy allows it"
            ),
            Right.NOTICE_MANAGE: _("Choose which notices go where: mail, webhooks"),
            Right.LOG_FORWARD: _("Choose where log rows are forwarded to: syslog servers, HTTP event collectors"),
            Right.CONFIGURATION_MANAGE: _("Change the options of the installation"),
        },
    ),
)


@dataclass(frozen=True)
class MatrixRow:
    """One right, and for each role whether it has it."""

    right: Right
    name: str
    text: str | Promise
    held: tuple[bool, ...]


def role_matrix(roles: Sequence[frozenset[Right]] = ()) -> list[tuple[str | Promise, list[MatrixRow]]]:
    """Return the rights by area, each with a mark for each of the roles, or for each built-in role."""
    compared = roles or [ROLE_RIGHTS[role] for role in Role]
    return [
        (
            area,
            [
                MatrixRow(right, name_right(right), text, tuple(right in held for held in compared))
                for right, text in rights.items()
            ],
        )
        for area, rights in AREAS
    ]


def describe_role(user: User) -> str:
    """Return what the role of a user is for."""
    if user.role in ROLE_DESCRIPTIONS:
        return str(ROLE_DESCRIPTIONS[user.role])
    found = user.custom_role()
    return found.description if found is not None else ""
