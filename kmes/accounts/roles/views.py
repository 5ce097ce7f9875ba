"""Pages of Roles. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts.rights import Right, Role
from kmes.accounts.role_descriptions import role_matrix
from kmes.accounts.roles import selectors, services
from kmes.accounts.roles.forms import RoleForm
from kmes.accounts.roles.selectors import ShownRole
from kmes.accounts.roles.uses import find_uses
from kmes.accounts.second_factor.services import is_demanded_with
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError
from kmes.ui.access import right_required
from kmes.ui.actions import show_menu
from kmes.ui.responses import go_to, render_form

USERS_SHOWN = 50


def _find(request: HttpRequest, code: str) -> ShownRole:
    found = selectors.find_role(code, request.user)
    if found is None:
        raise Http404(_("There is no such role."))
    return found


def must_have_factor(role: ShownRole) -> bool:
    """Return whether users with the role must have a second factor."""
    if role.row is None:
        return role.code in settings.KMES_SECOND_FACTOR_ROLES
    return role.needs_second_factor or is_demanded_with(role.rights)


@require_safe
@right_required(Right.CONSOLE_READ)
def list_roles(request: HttpRequest) -> HttpResponse:
    """List the roles, and show which of them has which right."""
    viewer: Any = request.user
    roles = selectors.list_roles(viewer)
    context = {
        "roles": [(role, must_have_factor(role)) for role in roles],
        "matrix": role_matrix([role.rights for role in roles]),
        "factor_roles": [role.label for role in Role if role in settings.KMES_SECOND_FACTOR_ROLES],
        "may_manage": viewer.has_right(Right.ROLE_MANAGE),
    }
    return render(request, "accounts/roles.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_role(request: HttpRequest, role: str) -> HttpResponse:
    """Show one role: its rights, who has it, and what names it."""
    shown = _find(request, role)
    users = list(selectors.users_with(shown.code)[: USERS_SHOWN + 1])
    context = {
        "role": shown,
        "matrix": role_matrix([shown.rights]),
        "users": users[:USERS_SHOWN],
        "more_users": shown.users - len(users[:USERS_SHOWN]),
        "uses": find_uses(shown.code),
        "must_have_factor": must_have_factor(shown),
    }
    return render(request, "accounts/role.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_actions(request: HttpRequest, role: str) -> HttpResponse:
    """Answer the role's menu, as a fragment or as a page."""
    shown = _find(request, role)
    return show_menu(request, "role", shown, name=shown, back=shown.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.ROLE_MANAGE)
def add_role(request: HttpRequest) -> HttpResponse:
    """Add a role, from nothing or with the rights of another one (``?template=``)."""
    template = selectors.find_role(request.GET.get("template", ""), request.user)
    form = RoleForm(request.POST or None, viewer=request.user, template=template)
    if request.method == "POST" and form.is_valid():
        try:
            with language.of_records():
                origin = selectors.role_name(template.code) if template else ""
            made = services.create_role(values=form.values(), actor=Actor.from_user(request.user), copied_from=origin)
        except (InputError, ConflictError) as error:
            form.refuse(error)
        else:
            messages.success(request, _("The role %(role)s is added. Give it to users next.") % {"role": made})
            return go_to(request, reverse("accounts:role", args=[made.code]))
    context: dict[str, object] = {
        "form": form,
        "template": template,
        "left_out": template.why_not_give if template else "",
        "templates": selectors.list_roles(request.user),
    }
    return render_form(request, "accounts/role_form.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.ROLE_MANAGE)
def edit_role(request: HttpRequest, role: str) -> HttpResponse:
    """Change a role; it counts at once for its users."""
    edited = _find(request, role)
    form = RoleForm(request.POST or None, viewer=request.user, current=edited)
    if request.method == "POST" and form.is_valid():
        try:
            services.update_role(
                code=edited.code,
                values=form.values(),
                lock_version=form.cleaned_data["lock_version"] or 0,
                actor=Actor.from_user(request.user),
            )
        except (InputError, ConflictError) as error:
            form.refuse(error)
        else:
            messages.success(request, _("The role %(role)s is saved.") % {"role": form.values().name})
            return go_to(request, edited.get_absolute_url())
    context = {"form": form, "edited": edited, "refusal": edited.why_not_change}
    return render_form(request, "accounts/role_form.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.ROLE_MANAGE)
def delete_role(request: HttpRequest, role: str) -> HttpResponse:
    """Confirm, then delete a role that nobody has."""
    shown = _find(request, role)
    if request.method == "POST":
        services.delete_role(code=shown.code, actor=Actor.from_user(request.user))
        messages.success(request, _("The role %(role)s is deleted.") % {"role": shown})
        return go_to(request, reverse("accounts:roles"))
    context = {"role": shown, "refusal": shown.why_not_delete, "uses": find_uses(shown.code)}
    return render_form(request, "accounts/role_delete.html", context, refused=False)
