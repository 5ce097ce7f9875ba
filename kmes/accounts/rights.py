"""Rights and the roles that have them; the only source of permissions.

The built-in roles stand here. Roles that users made are rows (``kmes.accounts.roles``), and so are those that are given
for a scope only (``kmes.accounts.assignments``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts.scopes import Located
from kmes.core.actor import Actor, Trigger
from kmes.core.errors import PermissionRefused
from kmes.core.right_names import refusal


class Right(StrEnum):
    """What a user may do."""

    CONSOLE_READ = "console.read"
    CREDENTIAL_MANAGE = "credential.manage"
    # Reads only, through a recorded credential: users who choose a vault may list them.
    VAULT_LIST = "vault.list"
    GROUP_MANAGE = "group.manage"
    KEY_CREATE = "key.create"
    KEY_PUSH = "key.push"
    KEY_ROTATE = "key.rotate"
    KEY_DISABLE = "key.disable"
    KEY_DESTROY = "key.destroy"
    CLOUD_DELETE = "cloud.delete"
    CLOUD_PURGE = "cloud.purge"
    JOB_CANCEL = "job.cancel"
    LOG_READ = "log.read"
    LOG_EXPORT = "log.export"
    LOG_FORWARD = "log.forward"
    DEVICE_MANAGE = "device.manage"
    USER_MANAGE = "user.manage"
    ROLE_MANAGE = "role.manage"
    APPROVAL_MANAGE = "approval.manage"
    # Nothing without the right to the action, and a policy that allows it.
    APPROVAL_BREAK_GLASS = "approval.break_glass"
    NOTICE_MANAGE = "notice.manage"
    CONFIGURATION_MANAGE = "configuration.manage"


class Role(models.TextChoices):
    """A built-in role."""

    ADMIN = "admin", gettext_lazy("Administrator")
    CUSTODIAN = "custodian", gettext_lazy("Key custodian")
    OPERATOR = "operator", gettext_lazy("Operator")
    AUDITOR = "auditor", gettext_lazy("Auditor")


_READ = frozenset({Right.CONSOLE_READ, Right.LOG_READ})
_OPERATE = _READ | {Right.KEY_PUSH, Right.KEY_ROTATE, Right.JOB_CANCEL}
_KEEP_KEYS = _OPERATE | {
    Right.GROUP_MANAGE,
    Right.VAULT_LIST,
    Right.KEY_CREATE,
    Right.KEY_DISABLE,
    Right.KEY_DESTROY,
    Right.CLOUD_DELETE,
    Right.LOG_EXPORT,
}
ROLE_RIGHTS: dict[str, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.CUSTODIAN: frozenset(_KEEP_KEYS),
    Role.OPERATOR: frozenset(_OPERATE),
    Role.AUDITOR: frozenset(_READ | {Right.LOG_EXPORT}),
}


# Rights to act on key groups and their keys. The others have no object that a scope could name, or read, or concern
# the whole console: a role that is given for a scope does not give them.
SCOPED_RIGHTS: frozenset[Right] = frozenset(
    {
        Right.GROUP_MANAGE,
        Right.KEY_CREATE,
        Right.KEY_PUSH,
        Right.KEY_ROTATE,
        Right.KEY_DISABLE,
        Right.KEY_DESTROY,
        Right.CLOUD_DELETE,
        Right.CLOUD_PURGE,
        Right.JOB_CANCEL,
    }
)


def known_rights(stored: object) -> frozenset[Right]:
    """Return the rights that a row names. Names of another release are left out."""
    names = stored if isinstance(stored, list) else []
    return frozenset(right for right in Right if right.value in names)


def rights_of(role: str) -> frozenset[Right]:
    """Return the rights of a role, from the database. A role that does not exist has none."""
    if role in ROLE_RIGHTS:
        return ROLE_RIGHTS[role]
    found = apps.get_model("accounts", "CustomRole").objects.filter(code=role)
    return known_rights(found.values_list("rights", flat=True).first())


def held_by(actor: Actor) -> frozenset[Right]:
    """Return the rights that an actor has everywhere, from the database. The schedule and the system have all of them."""
    if _is_no_person(actor):
        return frozenset(Right)
    user = None
    if actor.user_id is not None:
        user = get_user_model().objects.filter(pk=actor.user_id, is_active=True).first()
    return rights_of(user.role) if user is not None else frozenset()


def check(actor: Actor, right: Right, *objects: Located) -> None:
    """Raise unless the actor has the right on each of these objects; without objects, unless they have it everywhere.

    The user is read again, so that a withdrawn right counts at once. The schedule and the system pass,
    because a user with the right set up what they do.

    Raises:
        PermissionRefused: the text names the right.

    """
    if _is_no_person(actor):
        return
    user: Any = None
    if actor.user_id is not None:
        user = get_user_model().objects.filter(pk=actor.user_id).first()
    if user is not None and not user.is_active:
        raise PermissionRefused(
            _("%(name)s is deactivated.") % {"name": actor.name}, _("Ask an administrator to reactivate the user.")
        )
    if user is None or not user.may(right, *objects):
        raise refusal(actor.name, right, is_outside=user is not None and user.may_somewhere(right))


def check_each(actor: Actor, right: Right, objects: Sequence[Located]) -> None:
    """Raise unless the actor has the right on each of some objects; where there are none, unless they have it somewhere.

    Raises:
        PermissionRefused: the text names the right.

    """
    if objects:
        check(actor, right, *objects)
    else:
        check_somewhere(actor, right)


def check_somewhere(actor: Actor, right: Right) -> None:
    """Raise unless the actor has the right at least in some scope. What they act on is checked besides.

    Raises:
        PermissionRefused: the text names the right.

    """
    if _is_no_person(actor):
        return
    user: Any = get_user_model().objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    if user is None or not user.may_somewhere(right):
        raise refusal(actor.name, right)


def _is_no_person(actor: Actor) -> bool:
    return actor.trigger in {Trigger.SCHEDULE, Trigger.SYSTEM} and actor.user_id is None
