"""Actions on users: one list for the context menu, the ⋮ button and the page's toolbar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.accounts.second_factor.services import has_factor
from kmes.accounts.services import why_not_deactivate
from kmes.ui.actions import MenuAction, register


def _url(name: str) -> Callable[[User], str]:
    return lambda user: reverse(f"accounts:{name}", args=[user.pk])


def _viewer_id(user: User) -> int | None:
    """Return the id of the viewer, which the views set on the object."""
    viewer = user.__dict__.get("viewer_id")
    return viewer if isinstance(viewer, int) else None


def _why_not_reset(user: User) -> str:
    if not user.is_active:
        return _("Deactivated: reactivate the user instead")
    return _("Your own password is changed on your profile page") if user.pk == _viewer_id(user) else ""


def _why_not_reset_factor(user: User) -> str:
    return _("Your own second factor is removed on your profile page") if user.pk == _viewer_id(user) else ""


def register_all() -> None:
    """Register the menus of users and of their list's background."""
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
        item(name="edit", label=gettext_lazy("Edit"), url=_url("user_edit"), order=10),
        item(
            name="reset_password",
            label=gettext_lazy("Reset password"),
            url=_url("user_reset_password"),
            disabled_reason=_why_not_reset,
            order=20,
        ),
        item(
            name="reset_factor",
            label=gettext_lazy("Reset second factor"),
            url=_url("user_reset_factor"),
            shown=has_factor,
            disabled_reason=_why_not_reset_factor,
            order=25,
        ),
        item(
            name="reactivate",
            label=gettext_lazy("Reactivate"),
            url=_url("user_reactivate"),
            shown=lambda user: not user.is_active,
            order=30,
        ),
        item(
            name="deactivate",
            label=gettext_lazy("Deactivate"),
            url=_url("user_deactivate"),
            danger=True,
            shown=lambda user: user.is_active,
            disabled_reason=lambda user: why_not_deactivate(user, _viewer_id(user)),
            order=90,
        ),
    )
