"""Who may change whose access: nobody gives a right that they lack, or acts on an account or a role that has one.

Without that, whoever manages users gives themselves everything: by a role, by a second account, or by the password of
somebody who has more.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from kmes.accounts.models import User
from kmes.accounts.rights import Right, Role, check, held_by
from kmes.core.actor import Actor
from kmes.core.errors import PermissionRefused
from kmes.core.right_names import name_rights


def begin_change(actor: Actor, right: Right) -> frozenset[Right]:
    """Let one change of users and roles happen at a time. Return the actor's rights, which none of the others changes.

    Call it first in the transaction. There is always an administrator, whose row is the lock.

    Raises:
        PermissionRefused: the actor lacks the right.

    """
    list(User.objects.select_for_update().filter(role=Role.ADMIN).order_by("pk").values_list("pk", flat=True))
    check(actor, right)
    return held_by(actor)


def lacked(held: frozenset[Right], rights: frozenset[Right]) -> str:
    """Return the names of the rights that are not held, "" when all are."""
    return name_rights(rights - held) if rights - held else ""


def check_covers(held: frozenset[Right], rights: frozenset[Right], *, of: str, actor: Actor) -> None:
    """Check that the actor has all rights of the role or user named ``of``.

    Raises:
        PermissionRefused: the actor lacks one.

    """
    if missing := lacked(held, rights):
        raise PermissionRefused(
            _("%(name)s lacks rights of “%(other)s”: %(rights)s.")
            % {"name": actor.name, "other": of, "rights": missing},
            _("Nobody gives a right that they lack, or changes who has one. Ask an administrator."),
        )
