"""The pages about oneself: profile, and changing one's own password."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts.assignments.selectors import list_scoped_roles
from kmes.accounts.forms import OwnPasswordForm
from kmes.accounts.rights import Right
from kmes.accounts.role_descriptions import AREAS, describe_role
from kmes.accounts.second_factor.services import has_factor
from kmes.accounts.services import change_own_password
from kmes.core.actor import Actor
from kmes.core.secret_types import SecretText
from kmes.ui.access import right_required
from kmes.ui.responses import back_to, go_to, render_form


@require_safe
@right_required(Right.CONSOLE_READ)
def show_profile(request: HttpRequest) -> HttpResponse:
    """Show the user's own role and rights."""
    viewer: Any = request.user
    rights = [text for _area, texts in AREAS for right, text in texts.items() if right in viewer.rights]
    scoped = list_scoped_roles(viewer.scoped_roles)
    context = {"role_text": describe_role(viewer), "rights": rights, "scoped_roles": scoped}
    return render(request, "accounts/profile.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; this session continues, the user's others end."""
    viewer: Any = request.user
    is_forced = viewer.must_change_password
    form = OwnPasswordForm(viewer, request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = SecretText(form.cleaned_data["new_password1"])
        own = str(request.session.session_key)
        change_own_password(user=viewer, password=chosen, actor=Actor.from_user(viewer), session_key=own)
        update_session_auth_hash(request, viewer)
        messages.success(request, _("Your password is changed. Your other sessions have ended."))
        return go_to(request, back_to(request, _page_after_change(viewer, is_forced=is_forced)))
    context = {"form": form, "is_forced": is_forced}
    return render_form(request, "accounts/own_password.html", context, refused=request.method == "POST")


def _page_after_change(viewer: Any, *, is_forced: bool) -> str:
    """Return where a changed password leads: from a one-time password to a second factor, which may be left out.

    From there it goes on to the set-up, for those who can do it.
    """
    if not is_forced:
        return reverse("accounts:profile")
    page = reverse("setup:begin" if viewer.has_right(Right.CREDENTIAL_MANAGE) else "dashboard:home")
    return page if has_factor(viewer) else f"{reverse('accounts:second_factor')}?{urlencode({'next': page})}"
