"""Pages of the second factor: the second step of signing in, and adding, removing and recovering one's own."""

from __future__ import annotations

from typing import Any

import segno
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts.company_sign_on.selectors import active_provider
from kmes.accounts.models import AuthenticatorApp
from kmes.accounts.rights import Right
from kmes.accounts.second_factor import proofs, recovery_codes, services, sign_in, step_up, totp
from kmes.accounts.second_factor.forms import AppForm, ProofForm, offer
from kmes.accounts.second_factor.passkeys import ceremonies
from kmes.accounts.second_factor.passkeys import services as passkeys
from kmes.accounts.second_factor.passkeys.challenges import Purpose
from kmes.accounts.second_factor.services import Factor
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.core.secret_types import SecretText
from kmes.ui.access import right_required
from kmes.ui.responses import back_to, go_to, render_form

# Signs users in whom another page has checked.
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor of a sign-in whose password was right, and sign in."""
    waiting = sign_in.pending(request)
    if waiting is None:
        return redirect("accounts:login")
    form = proofs.form_for(request, waiting.user)
    if request.method == "POST" and form.is_valid():
        try:
            factor = proofs.prove(request, waiting.user, form, Purpose.SECOND_STEP)
        except KmesError as error:
            form.refuse(error)
        else:
            backend = waiting.backend or MODEL_BACKEND
            sign_in.complete(request, waiting.user, factor, backend=backend, sign_on=waiting.sign_on)
            return redirect(waiting.next_url)
    context = {"form": form, "name": waiting.user, **proofs.context_for(request, waiting.user, Purpose.SECOND_STEP)}
    return uncached(render(request, "accounts/second_step.html", context))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor before something dangerous, or at the identity provider, and lead back to it."""
    viewer: Any = request.user
    page = back_to(request, reverse("dashboard:home"))
    form = proofs.form_for(request, viewer)
    is_here = services.has_factor(viewer)
    if not step_up.may_confirm(request) or (is_here and _proves(request, form)):
        return go_to(request, page)
    ways = proofs.context_for(request, viewer, Purpose.CONFIRM)
    context = {"form": form, "minutes": step_up.minutes(), **ways}
    context |= {"provider": None if is_here else active_provider(), "next": page}
    return uncached(render_form(request, "accounts/step_up.html", context, refused=request.method == "POST"))


@require_safe
@right_required(Right.CONSOLE_READ)
def show(request: HttpRequest) -> HttpResponse:
    """Show the user's second factor, and what can be done with it."""
    viewer: Any = request.user
    context = {
        "app": AuthenticatorApp.objects.filter(user=viewer).first(),
        "codes_left": recovery_codes.left(viewer),
        "codes_made": recovery_codes.COUNT,
        "is_required": services.is_required(viewer),
        "must_add": sign_in.must_add(request),
        "passkeys": passkeys.list_passkeys(viewer),
        "domain": ceremonies.domain_of(request),
        # The page that led here (first password or set-up), and continues afterwards.
        "next": back_to(request, ""),
    }
    return render(request, "accounts/second_factor.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def add_app(request: HttpRequest) -> HttpResponse:
    """Add an authenticator app: show the QR code, and take a code of it. Nothing is stored before."""
    viewer: Any = request.user
    if services.has_app(viewer):
        return go_to(request, reverse("accounts:second_factor"))
    # Who has a passkey has proven it a moment ago.
    asks_password = not services.has_factor(viewer) and not sign_in.has_fresh_password(request)
    form = AppForm(request, request.POST or None, asks_password=asks_password)
    if request.method == "POST" and form.is_valid():
        try:
            codes = services.add_app(
                user=viewer,
                seed=form.cleaned_data["token"],
                code=form.cleaned_data["code"],
                session_key=str(request.session.session_key),
                actor=Actor.from_user(viewer),
            )
        except KmesError as error:
            form.refuse(error)
        else:
            sign_in.note_proof(request, Factor.APP)
            if codes:
                return show_codes(request, codes, is_new=True)
            messages.success(request, _("The authenticator app is added."))
            return go_to(request, reverse("accounts:second_factor"))
    seed = form.cleaned_data.get("token") if form.is_bound else None
    if not seed:
        seed = totp.new_seed()
    token = offer(seed, user_id=viewer.pk)
    address = totp.address(seed, name=viewer.get_username())
    context = {
        "form": form,
        "token": token,
        "address": address,
        "seed": totp.as_text(seed),
        "picture": segno.make(address, error="m").svg_data_uri(scale=5, border=3, light="#fff"),
        "must_add": sign_in.must_add(request),
    }
    return uncached(render_form(request, "accounts/add_app.html", context, refused=request.method == "POST"))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def make_recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes, for a proof of a factor."""
    viewer: Any = request.user
    form = proofs.form_for(request, viewer)
    if _proves(request, form):
        codes = services.replace_recovery_codes(user=viewer, actor=Actor.from_user(viewer))
        return show_codes(request, codes, is_new=False)
    return _confirm(request, form, "codes")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def remove(request: HttpRequest) -> HttpResponse:
    """Remove the user's own authenticator app, for a proof of a factor."""
    viewer: Any = request.user
    form = proofs.form_for(request, viewer)
    if services.has_app(viewer) and _proves(request, form):
        services.remove_own_app(user=viewer, actor=Actor.from_user(viewer))
        sign_in.forget_proof(request, viewer)
        messages.success(request, _("The authenticator app is removed."))
        return go_to(request, reverse("accounts:second_factor"))
    return _confirm(request, form, "remove")


def _proves(request: HttpRequest, form: ProofForm) -> bool:
    """Return whether the form proves the user's factor; show at the form why it does not."""
    viewer: Any = request.user
    if request.method != "POST" or not form.is_valid():
        return False
    try:
        factor = proofs.prove(request, viewer, form, Purpose.CONFIRM)
    except KmesError as error:
        form.refuse(error)
        return False
    sign_in.note_proof(request, factor)
    return True


def _confirm(request: HttpRequest, form: ProofForm, act: str) -> HttpResponse:
    viewer: Any = request.user
    has_what = services.has_app(viewer) if act == "remove" else services.has_factor(viewer)
    if not has_what:
        return go_to(request, reverse("accounts:second_factor"))
    context = {
        "form": form,
        "act": act,
        "is_required": services.is_required(viewer),
        "has_others": passkeys.list_passkeys(viewer).exists(),
        **proofs.context_for(request, viewer, Purpose.CONFIRM),
    }
    return render_form(request, "accounts/second_factor_confirm.html", context, refused=request.method == "POST")


def show_codes(request: HttpRequest, codes: list[SecretText], *, is_new: bool) -> HttpResponse:
    """Show recovery codes in this response; a message would be stored in the session's row."""
    context = {"codes": [code.reveal() for code in codes], "is_new": is_new, "next": back_to(request, "")}
    return uncached(render(request, "accounts/recovery_codes.html", context))


def uncached(response: HttpResponse) -> HttpResponse:
    """Return a response that no cache keeps."""
    response.headers["Cache-Control"] = "no-store"
    return response
