"""Who may change whose access: nobody gives a right that they lack, or acts on an account or a role that has one.

Without that, whoever manages users gives themselves everything: by a role, by a second account, or by the password of
somebody who has more.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.rights import Right, Role, check, held_by, rights_of
from kmes.accounts.scopes import Place
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


def lacked_of(viewer: User, user: User) -> str:
    """Return the names of a user's rights that the viewer lacks, "" when there are none. As ``check_covers_user``."""
    missing = rights_of(user.role) - viewer.rights
    for each in user.scoped_roles:
        scope = (each.scope_kind, each.scope_value)
        own = (one.effective for one in viewer.scoped_roles if (one.scope_kind, one.scope_value) == scope)
        missing |= each.held - viewer.rights.union(*own)
    return name_rights(missing) if missing else ""


def check_covers_user(held: frozenset[Right], user: User, *, actor: Actor) -> None:
    """Check that the actor, who has ``held`` everywhere, has all rights of a user, each at least in the user's scope.

    Raises:
        PermissionRefused: the actor lacks one.

    """
    check_covers(held, rights_of(user.role), of=str(user), actor=actor)
    for each in RoleAssignment.objects.filter(user=user):
        check_gives_in_scope(held, each, of=str(user), actor=actor)


def check_gives_in_scope(held: frozenset[Right], wanted: RoleAssignment, *, of: str, actor: Actor) -> None:
    """Check that the actor has all rights of a role everywhere or in just this scope, so that they can give it there.

    A scope within another one does not count: a key group may be moved to another vault, and its tags change.

    Raises:
        PermissionRefused: the actor lacks one.

    """
    scope = {"scope_kind": wanted.scope_kind, "scope_value": wanted.scope_value}
    own = RoleAssignment.objects.filter(user_id=actor.user_id, **scope) if actor.user_id is not None else ()
    check_covers(held.union(*(each.effective for each in own)), wanted.held, of=of, actor=actor)


def check_moves(actor: Actor, before: Place, after: Place, *, of: str) -> None:
    """Check that nobody gets rights on a key group by a change of its vault or tags that its editor could not give.

    ``before`` and ``after`` are its places; ``of`` is its name. The roles whose scope covers it only afterwards are given
    by the change, so the editor needs each of their rights on it before: also where the editor is who would get them.

    Raises:
        PermissionRefused: the actor lacks one.

    """
    if before == after or actor.user_id is None:
        return
    values = (after.vault, after.group, *after.tags)
    gained = [
        each
        for each in RoleAssignment.objects.filter(scope_value__in=values).select_related("user")
        if each.covers(after) and not each.covers(before)
    ]
    if not gained:
        return
    editor = User.objects.filter(pk=actor.user_id).first()
    held = editor.rights_at(before) if editor is not None else frozenset()
    for each in gained:
        if missing := lacked(held, each.held):
            raise PermissionRefused(
                _("The change gives %(user)s rights on “%(group)s” that %(name)s lacks: %(rights)s.")
                % {"user": each.user, "group": of, "name": actor.name, "rights": missing},
                _("Nobody gives a right that they lack: leave vault and tags as they are, or ask an administrator."),
            )


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
