"""Pages that give a user a role for a scope and take it away. GET shows, only POST acts."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts import withdrawal
from kmes.accounts.assignments import services
from kmes.accounts.assignments.catalog import catalog
from kmes.accounts.assignments.forms import RoleForScopeForm
from kmes.accounts.assignments.selectors import list_scoped_roles, why_not_change
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.rights import Right
from kmes.accounts.scopes import ScopeKind
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form

MAX_QUESTION = 256


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def give_role(request: HttpRequest, user_id: int) -> HttpResponse:
    """Ask for role and scope; on POST give it."""
    shown = get_object_or_404(User, pk=user_id)
    form = RoleForScopeForm(request.POST or None, viewer=request.user)
    if request.method == "POST" and form.is_valid():
        kind, scope = form.scope()
        try:
            services.give_role(
                user=shown,
                role=form.cleaned_data["role"],
                scope_kind=kind,
                scope=scope,
                actor=Actor.from_user(request.user),
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(user)s has the role for the scope. It counts at once.") % {"user": shown})
            return go_to(request, shown.get_absolute_url())
    context = {"form": form, "shown_user": shown, "obstacle": why_not_change(shown, request.user)}
    return render_form(request, "accounts/scoped_role_form.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def take_role(request: HttpRequest, user_id: int, assignment_id: int) -> HttpResponse:
    """Confirm, then take a role for a scope away."""
    assignment = get_object_or_404(RoleAssignment.objects.select_related("user"), pk=assignment_id, user=user_id)
    shown = assignment.user
    if request.method == "POST":
        services.take_role(user=shown, assignment_id=assignment.pk, actor=Actor.from_user(request.user))
        messages.success(request, _("The role for the scope is taken away from %(user)s.") % {"user": shown})
        return go_to(request, shown.get_absolute_url())
    obstacle = why_not_change(shown, request.user)
    context = {
        "shown_user": shown,
        "scoped": list_scoped_roles([assignment])[0],
        "obstacle": obstacle,
        "ends": [] if obstacle else withdrawal.describe(shown, role=shown.role, without=assignment),
    }
    return render_form(request, "accounts/scoped_role_take.html", context, refused=False)


@require_safe
@right_required(Right.CONSOLE_READ)
def suggest_scopes(request: HttpRequest, kind: str) -> JsonResponse:
    """Answer the names of some vaults, key groups or tags that hold a text."""
    if kind not in ScopeKind.values:
        raise Http404(_("There is no such kind of scope."))
    text = request.GET.get("q", "").strip()[:MAX_QUESTION]
    return JsonResponse({"names": catalog().suggest(kind, text) if text else []})
