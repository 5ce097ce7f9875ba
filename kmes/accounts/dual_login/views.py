"""Pages of dual login: the policy, the two steps in which a second administrator signs in, and the end of that."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from kmes.accounts import acting_views
from kmes.accounts.dual_login import policy, second_sign_in
from kmes.accounts.dual_login.forms import PolicyForm, SecondForm
from kmes.accounts.rights import Right
from kmes.accounts.second_factor import proofs
from kmes.accounts.second_factor.passkeys import views as passkey_views
from kmes.accounts.second_factor.passkeys.challenges import Purpose
from kmes.accounts.second_factor.services import FactorRefused
from kmes.accounts.second_factor.views import uncached
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import back_to, go_to, render_form


# --- The policy ----------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def edit_policy(request: HttpRequest) -> HttpResponse:
    """Show and change what demands a second administrator."""
    present = policy.read_policy()
    form = PolicyForm(request.POST or None, policy=present)
    if request.method == "POST" and form.is_valid():
        try:
            policy.save_policy(form.values(), actor=Actor.from_user(request.user))
        except (InputError, ConflictError) as error:
            form.refuse(error)
        else:
            messages.success(request, _("Dual login is saved."))
            return go_to(request, request.path)
    context = {
        "form": form,
        "policy": present,
        "always": [
            acting_views.label_of(code) for code in (acting_views.ACCESS, acting_views.SIGN_ON, acting_views.POLICY)
        ],
        "seconds": policy.find_seconds(present.second_roles),
        "needed": policy.OTHERS_NEEDED + 1,
    }
    return render_form(request, "accounts/dual_login/policy.html", context, refused=request.method == "POST")


# --- The second administrator --------------------------------------------------------------------
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password of a second administrator."""
    page = _back(request)
    present = policy.read_policy()
    if not present.is_on:
        return go_to(request, page)
    form = SecondForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            second_sign_in.check_password(request, name=typed["username"], password=typed["password"])
        except KmesError as error:
            form.refuse(error)
        else:
            return go_to(request, _address("accounts:second_administrator_factor", page))
    context = {"form": form, "policy": present, "next": page}
    return uncached(render_form(request, "accounts/dual_login/sign_in.html", context, refused=request.method == "POST"))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def prove_factor(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor of whose password was right, note them in the session, and lead back."""
    page = _back(request)
    second = second_sign_in.pending(request)
    if second is None:
        return redirect(_address("accounts:second_administrator", page))
    form = proofs.form_for(request, second)
    if request.method == "POST" and form.is_valid():
        try:
            second_sign_in.refuse_many_failures(request)
            factor = proofs.prove(request, second, form, Purpose.SECOND)
            begun = second_sign_in.begin(request, second, factor)
        except KmesError as error:
            if isinstance(error, FactorRefused):
                second_sign_in.log_refusal(request, second.get_username(), "wrong second factor")
            form.refuse(error)
        else:
            text = _("%(name)s is signed in as second administrator until %(time)s UTC.")
            messages.success(request, text % {"name": second, "time": f"{begun.until:%H:%M}"})
            return go_to(request, page)
    context = {"form": form, "name": second, "next": page, **proofs.context_for(request, second, Purpose.SECOND)}
    return uncached(render_form(request, "accounts/dual_login/factor.html", context, refused=request.method == "POST"))


@require_POST
@right_required(Right.CONSOLE_READ)
def options(request: HttpRequest) -> HttpResponse:
    """Answer the challenge for a passkey of the second administrator whose password was right."""
    second = second_sign_in.pending(request)
    if second is None:
        return passkey_views.refused(FactorRefused(_("The sign-in took too long."), _("Begin again.")))
    return passkey_views.options(request, Purpose.SECOND, user=second)


@require_POST
@right_required(Right.CONSOLE_READ)
def end(request: HttpRequest) -> HttpResponse:
    """Sign the second administrator out of this session."""
    if second_sign_in.end(request):
        messages.success(request, _("The second administrator is signed out."))
    return go_to(request, _back(request))


def _back(request: HttpRequest) -> str:
    return back_to(request, reverse("dashboard:home"))


def _address(view: str, page: str) -> str:
    return f"{reverse(view)}?{urlencode({'next': page}, safe='/')}"
