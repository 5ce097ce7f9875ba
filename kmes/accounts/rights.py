"""Rights and the roles that have them; the only source of permissions."""

from __future__ import annotations

from enum import StrEnum

from django.contrib.auth import get_user_model
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.core.actor import Actor, Trigger
from kmes.core.errors import PermissionRefused


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
    APPROVAL_MANAGE = "approval.manage"
    NOTICE_MANAGE = "notice.manage"
    CONFIGURATION_MANAGE = "configuration.manage"


class Role(models.TextChoices):
    """A user's role."""

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


def check(actor: Actor, right: Right) -> None:
    """Raise unless the actor has the right.

    The user is read again, so that a withdrawn right counts at once. The schedule and the system pass,
    because a user with the right set up what they do.

    Raises:
        PermissionRefused: the text names the right.

    """
    if actor.trigger in {Trigger.SCHEDULE, Trigger.SYSTEM} and actor.user_id is None:
        return
    user = None
    if actor.user_id is not None:
        user = get_user_model().objects.filter(pk=actor.user_id).first()
    if user is not None and not user.is_active:
        raise PermissionRefused(
            _("%(name)s is deactivated.") % {"name": actor.name}, _("Ask an administrator to reactivate the user.")
        )
    if user is None or right not in ROLE_RIGHTS.get(user.role, frozenset()):
        raise PermissionRefused(
            _("%(name)s lacks the right “%(right)s”.") % {"name": actor.name, "right": right},
            _("Ask an administrator for a role that has it."),
        )
