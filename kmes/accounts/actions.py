"""Actions on users and roles: one list for the context menu, the ⋮ button and the page's toolbar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts import services
from kmes.accounts.company_sign_on.selectors import find_identity
from kmes.accounts.delegation import lacked_of
from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.accounts.roles.selectors import ShownRole
from kmes.accounts.second_factor.services import has_factor
from kmes.ui.actions import MenuAction, register


def _url(name: str) -> Callable[[User], str]:
    return lambda user: reverse(f"accounts:{name}", args=[user.pk])


def _viewer(user: User) -> User | None:
    """Return the viewer, whom the views set on the object."""
    viewer = user.__dict__.get("viewer")
    return viewer if isinstance(viewer, User) else None


def _is_own(user: User) -> bool:
    viewer = _viewer(user)
    return viewer is not None and viewer.pk == user.pk


def why_not_manage(user: User) -> str:
    """Return why the viewer can't act on a user at all, "" if they can."""
    viewer = _viewer(user)
    missing = lacked_of(viewer, user) if viewer is not None else ""
    return _("The user has rights that you lack: %(rights)s") % {"rights": missing} if missing else ""


def why_not_reset_password(user: User) -> str:
    """Return why the viewer can't reset a user's password, "" if they can."""
    if not user.is_active:
        return _("Deactivated: reactivate the user instead")
    if _is_own(user):
        return _("Your own password is changed on your profile page")
    return why_not_manage(user)


def _has_factor(user: User) -> bool:
    """Return whether the user has a second factor, where their page has not asked already."""
    known = user.__dict__.get("has_factor")
    return has_factor(user) if known is None else bool(known)


def _has_identity(user: User) -> bool:
    """Return whether the user has an account at a provider, where their page has not asked already."""
    known = user.__dict__
    return (known["identity"] if "identity" in known else find_identity(user)) is not None


def why_not_reset_factor(user: User) -> str:
    """Return why the viewer can't reset a user's second factor, "" if they can."""
    if _is_own(user):
        return _("Your own second factor is removed on your profile page")
    return why_not_manage(user)


def why_not_unlink(user: User) -> str:
    """Return why the viewer can't unlink a user from company sign-on, "" if they can."""
    if _is_own(user):
        return _("Users can't unlink themselves")
    return why_not_manage(user)


def why_not_reactivate(user: User) -> str:
    """Return why the viewer can't reactivate a user, "" if they can."""
    return _("Active already") if user.is_active else why_not_manage(user)


def why_not_deactivate(user: User) -> str:
    """Return why the viewer can't deactivate a user, "" if they can."""
    viewer = _viewer(user)
    return services.why_not_deactivate(user, viewer.pk if viewer else None) or why_not_manage(user)


def register_all() -> None:
    """Register the menus of users, of roles, and of the backgrounds of their lists."""
    item = partial(MenuAction, target="user", right=Right.USER_MANAGE, method="dialog")
    register(
        MenuAction(
            name="add",
            target="users",
            submenu=gettext_lazy("Add"),
            label=gettext_lazy("User"),
            url=lambda _users: reverse("accounts:user_add"),
            right=Right.USER_MANAGE,
            method="dialog",
            order=10,
        ),
        item(
            name="edit",
            label=gettext_lazy("Edit"),
            url=_url("user_edit"),
            disabled_reason=why_not_manage,
            order=10,
        ),
        item(
            name="give_role",
            label=gettext_lazy("Give role for a scope"),
            url=_url("user_give_role"),
            disabled_reason=lambda user: _("Nobody changes their own role") if _is_own(user) else why_not_manage(user),
            order=15,
        ),
        item(
            name="reset_password",
            label=gettext_lazy("Reset password"),
            url=_url("user_reset_password"),
            disabled_reason=why_not_reset_password,
            order=20,
        ),
        item(
            name="reset_factor",
            label=gettext_lazy("Reset second factor"),
            url=_url("user_reset_factor"),
            shown=_has_factor,
            disabled_reason=why_not_reset_factor,
            order=25,
        ),
        item(
            name="unlink",
            label=gettext_lazy("Unlink company sign-on"),
            url=_url("user_unlink"),
            shown=_has_identity,
            disabled_reason=why_not_unlink,
            order=27,
        ),
        item(
            name="reactivate",
            label=gettext_lazy("Reactivate"),
            url=_url("user_reactivate"),
            shown=lambda user: not user.is_active,
            disabled_reason=why_not_manage,
            order=30,
        ),
        item(
            name="deactivate",
            label=gettext_lazy("Deactivate"),
            url=_url("user_deactivate"),
            danger=True,
            shown=lambda user: user.is_active,
            disabled_reason=why_not_deactivate,
            order=90,
        ),
    )
    _register_selection()
    _register_roles()


def _register_selection() -> None:
    def item(act: str, **more: Any) -> MenuAction:
        return MenuAction(
            name=act.replace("-", "_"),
            target="selected_users",
            url=lambda _users: reverse("accounts:users_act", args=[act]),
            right=Right.USER_MANAGE,
            method="selection",
            **more,
        )

    register(
        item("end-sessions", label=gettext_lazy("End sessions"), order=10),
        item("reactivate", label=gettext_lazy("Reactivate"), order=20),
        item("deactivate", label=gettext_lazy("Deactivate"), order=30, danger=True),
    )


def _register_roles() -> None:
    item = partial(MenuAction, target="role", right=Right.ROLE_MANAGE)

    def address(name: str) -> Callable[[ShownRole], str]:
        return lambda role: reverse(f"accounts:{name}", args=[role.code])

    register(
        MenuAction(
            name="add",
            target="roles",
            submenu=gettext_lazy("Add"),
            label=gettext_lazy("Role"),
            url=lambda _roles: reverse("accounts:role_add"),
            right=Right.ROLE_MANAGE,
            order=10,
        ),
        MenuAction(name="open", target="role", label=gettext_lazy("Open"), url=ShownRole.get_absolute_url, order=5),
        item(
            name="edit",
            label=gettext_lazy("Edit"),
            url=address("role_edit"),
            disabled_reason=lambda role: role.why_not_change,
            order=10,
        ),
        item(
            name="copy",
            label=gettext_lazy("Copy"),
            url=lambda role: f"{reverse('accounts:role_add')}?{urlencode({'template': role.code})}",
            order=20,
        ),
        item(
            name="delete",
            label=gettext_lazy("Delete"),
            url=address("role_delete"),
            method="dialog",
            danger=True,
            disabled_reason=lambda role: role.why_not_delete,
            order=90,
        ),
    )
