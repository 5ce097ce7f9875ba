"""Pages of Users. A one-time password is shown once, in the response that made it, and not stored."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts import selectors, services, withdrawal
from kmes.accounts.assignments.selectors import list_scoped_roles
from kmes.accounts.company_sign_on.selectors import find_identity
from kmes.accounts.delegation import lacked_of
from kmes.accounts.forms import UserForm
from kmes.accounts.models import User
from kmes.accounts.permissions import conditions_of
from kmes.accounts.rights import Right
from kmes.accounts.role_descriptions import describe_role, role_matrix
from kmes.accounts.roles.selectors import list_roles
from kmes.accounts.roles.uses import find_uses
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.tables import UserTable, state_of
from kmes.accounts.user_confirmations import CONFIRMATIONS
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.core.secret_types import SecretText
from kmes.ui.access import right_required
from kmes.ui.actions import flat_menu, menu_for, show_menu
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange


def _find(request: HttpRequest, user_id: int) -> User:
    found: User = get_object_or_404(second_factor.with_factor(User.objects.all()), pk=user_id)
    # The reasons in the menu depend on the viewer: nobody deactivates themselves, or who has more rights.
    found.__dict__["viewer"] = request.user
    return found


def _show_password(request: HttpRequest, user: User, password: SecretText) -> HttpResponse:
    """Show a one-time password in this response; a message would be stored in the session's row."""
    context = {"shown_user": user, "password": password.reveal()}
    response = render(request, "accounts/one_time_password.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


@require_safe
@right_required(Right.CONSOLE_READ)
def list_users(request: HttpRequest) -> HttpResponse:
    """List the users, and the user names that are locked now."""
    show, search = request.GET.get("show", ""), request.GET.get("q", "").strip()[:128]
    bulk = flat_menu(menu_for("selected_users", None, request.user))
    table = UserTable(selectors.list_users(show=show, search=search), exclude=() if bulk else ("pick",))
    arrange(request, table)
    viewer: Any = request.user
    context = {
        "table": table,
        "bulk": bulk,
        "show": show,
        "search": search,
        "tabs": selectors.SHOWN.items(),
        "locked": selectors.locked_sign_ins(),
        "may_manage": viewer.has_right(Right.USER_MANAGE),
    }
    return render(request, "accounts/users.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_user(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show one user: role and its rights, state, last sign-in."""
    shown = _find(request, user_id)
    # The menu asks it too.
    identity = shown.__dict__["identity"] = find_identity(shown)
    conditions = conditions_of([right for right in Right if right in shown.rights])
    context = {
        "shown_user": shown,
        "state": state_of(shown),
        "role_text": describe_role(shown),
        "locked": selectors.locked_sign_ins(username=shown.username),
        "has_factor": shown.__dict__["has_factor"],
        "identity": identity,
        "must_have_factor": second_factor.is_required(shown),
        "matrix": role_matrix([shown.rights]),
        "scoped_roles": list_scoped_roles(shown.scoped_roles),
        "may_manage": request.user.has_right(Right.USER_MANAGE),  # type: ignore[union-attr]
        "conditions": list(dict.fromkeys(each for found in conditions.values() for each in found)),
        "uses": find_uses(shown.role) if shown.is_active else [],
    }
    return render(request, "accounts/user.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_actions(request: HttpRequest, user_id: int) -> HttpResponse:
    """Answer the user's menu, as a fragment or as a page."""
    shown = _find(request, user_id)
    return show_menu(request, "user", shown, name=shown, back=shown.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def add_user(request: HttpRequest) -> HttpResponse:
    """Add a user; the response shows the one-time password."""
    form = UserForm(request.POST or None, viewer=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            made, password = services.create_user(
                username=form.cleaned_data["username"], values=form.values(), actor=Actor.from_user(request.user)
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            return _show_password(request, made, password)
    return render_form(request, "accounts/user_form.html", {"form": form}, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def edit_user(request: HttpRequest, user_id: int) -> HttpResponse:
    """Change a user's role and names."""
    edited = _find(request, user_id)
    form = UserForm(request.POST or None, viewer=request.user, current=edited)
    if request.method == "POST" and form.is_valid():
        try:
            services.update_user(user=edited, values=form.values(), actor=Actor.from_user(request.user))
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(user)s is saved.") % {"user": edited})
            return go_to(request, edited.get_absolute_url())
    ends = {}
    # Without anything that depends on a right no role ends anything.
    if edited.pk != request.user.pk and withdrawal.describe(edited):
        ends = {role.name: withdrawal.describe(edited, role=role.code) for role in list_roles(request.user)}
    context = {"form": form, "edited": edited, "ends": {name: lost for name, lost in ends.items() if lost}}
    return render_form(request, "accounts/user_form.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def confirm(request: HttpRequest, user_id: int, act: str) -> HttpResponse:
    """Say what an act on a user's account brings; on POST do it. A response that makes a one-time password shows it."""
    shown, asked = _find(request, user_id), CONFIRMATIONS[act]
    words = {"name": shown.get_username(), "role": shown.get_role_display()}
    if request.method == "POST":
        password = asked.service(user=shown, actor=Actor.from_user(request.user))
        if password is not None:
            return _show_password(request, shown, password)
        messages.success(request, asked.done % words)
        return go_to(request, shown.get_absolute_url())
    refusal = asked.why_not(shown)
    context = {
        "shown_user": shown,
        "asked": asked,
        "title": asked.title % words,
        "text": asked.text % words,
        "refusal": refusal,
        "ends": [] if refusal else asked.ends(shown),
    }
    return render(request, "accounts/user_confirm.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def unlock_sign_in(request: HttpRequest) -> HttpResponse:
    """Confirm, then delete a name's failed sign-ins. The name comes as a parameter: no such user need exist."""
    username = request.GET.get("name", "")[:255]
    if request.method == "POST":
        services.unlock(username=username, actor=Actor.from_user(request.user))
        messages.success(request, _("“%(name)s” can sign in again.") % {"name": username})
        return go_to(request, reverse("accounts:users"))
    locked = selectors.locked_sign_ins(username=username) if username else []
    viewer: Any = request.user
    user = selectors.find_namesake(username)
    missing = lacked_of(viewer, user) if user is not None else ""
    return render(request, "accounts/unlock.html", {"name": username, "locked": locked, "missing": missing})
