"""Pages of passkeys: what the script asks a browser for, signing in with one, adding and removing one's own."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from kmes.accounts import client_address, devices, sign_in_limits
from kmes.accounts.rights import Right
from kmes.accounts.second_factor import proofs, sign_in
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor.passkeys import ceremonies, challenges, services
from kmes.accounts.second_factor.passkeys.challenges import Purpose
from kmes.accounts.second_factor.passkeys.forms import NewPasskeyForm, PasskeyForm
from kmes.accounts.second_factor.passkeys.statements import challenge_for
from kmes.accounts.second_factor.services import Factor, FactorRefused
from kmes.accounts.second_factor.views import MODEL_BACKEND, show_codes, uncached
from kmes.accounts.views import REFUSED, SignIn, locked_out
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


# --- What the browser is asked for ---------------------------------------------------------------
@require_POST
def sign_in_options(request: HttpRequest) -> HttpResponse:
    """Answer the challenge of a sign-in; it names no user and no passkey."""
    return options(request, Purpose.SIGN_IN)


@require_POST
def second_step_options(request: HttpRequest) -> HttpResponse:
    """Answer the challenge of a second step, for the user whose password was right."""
    waiting = sign_in.pending(request)
    if waiting is None:
        return refused(FactorRefused(_("The sign-in took too long."), _("Begin again.")))
    return options(request, Purpose.SECOND_STEP, user=waiting.user)


@require_POST
@right_required(Right.CONSOLE_READ)
def own_options(request: HttpRequest) -> HttpResponse:
    """Answer the challenge of a confirmation by the signed-in user."""
    return options(request, Purpose.CONFIRM, user=request.user)


@require_POST
@right_required(Right.CONSOLE_READ)
def new_options(request: HttpRequest) -> HttpResponse:
    """Answer what an authenticator has to know to make a passkey for the signed-in user."""
    viewer: Any = request.user
    try:
        party = ceremonies.party_of(request)
    except FactorRefused as error:
        return refused(error)
    handle = services.handle_of(viewer)
    challenge, cookie = challenges.issue(request, Purpose.ADD, user_id=viewer.pk, handle=handle)
    known = services.known_credentials(viewer, domain=party.domain)
    return _answer(ceremonies.options_to_add(party, challenge, user=viewer, known=known), cookie)


def statement_options(request: HttpRequest, digests: Sequence[str]) -> HttpResponse:
    """Answer the challenge with which the signed-in user signs statements, given by their digests (hex)."""
    return options(request, Purpose.STATEMENTS, user=request.user, statements=digests)


def options(
    request: HttpRequest, purpose: Purpose, *, user: Any = None, statements: Sequence[str] = ()
) -> HttpResponse:
    """Answer a new challenge for a purpose; with a user it names that user's passkeys."""
    try:
        party = ceremonies.party_of(request)
        known = services.known_credentials(user, domain=party.domain) if user else []
        if user and not known:
            raise FactorRefused(_("There is no passkey of yours that works here."), _("Use a recovery code."))
    except FactorRefused as error:
        return refused(error)
    challenge, cookie = challenges.issue(request, purpose, user_id=user.pk if user else None)
    if statements:
        challenge = challenge_for(challenge, statements)
    return _answer(ceremonies.options_to_prove(party, challenge, known=known), cookie)


def _answer(options: dict[str, Any], cookie: str) -> HttpResponse:
    response = uncached(JsonResponse({"publicKey": options}))
    challenges.write(response, cookie)
    return response


def refused(error: FactorRefused) -> HttpResponse:
    """Answer to the script why there is no challenge."""
    return uncached(JsonResponse({"error": str(error)}, status=HTTPStatus.CONFLICT))


# --- Signing in ----------------------------------------------------------------------------------
class PasskeySignIn(SignIn):
    """Signs in by a passkey alone, which is possession and user verification in one."""

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Sign in, or show the sign-in page with the reason why not."""
        address = client_address.of_request(request)
        if sign_in_limits.is_address_over(address):
            sign_in_limits.log_refusal(name="", address=address, reason=REFUSED)
            return locked_out(request)
        form = PasskeyForm(request.POST)
        try:
            if not form.is_valid():
                raise FactorRefused(_("The browser sent no passkey."), _("Sign in with your password."))
            user = services.sign_in(proofs.response_of(request, form.cleaned_data["passkey"], Purpose.SIGN_IN))
        except KmesError as error:
            reason = "Sign-in with a passkey refused"
            sign_in_limits.log_refusal(name=sign_in_limits.PASSKEY, address=address, reason=reason)
            context = self.get_context_data(form=self.form_class(request), passkey_error=str(error))
            return self.render_to_response(context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        sign_in.complete(request, user, Factor.PASSKEY, backend=MODEL_BACKEND)
        return redirect(self.get_success_url())


sign_in_with_passkey = require_POST(PasskeySignIn.as_view())


# --- One's own -----------------------------------------------------------------------------------
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def add(request: HttpRequest) -> HttpResponse:
    """Add a passkey. Who has a factor has proven it a moment ago; who has none is asked for the password."""
    viewer: Any = request.user
    asks_password = not second_factor.has_factor(viewer) and not sign_in.has_fresh_password(request)
    initial = {"name": devices.of_request(request)}
    form = NewPasskeyForm(request, request.POST or None, asks_password=asks_password, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            party = ceremonies.party_of(request)
            challenge = challenges.given(request, Purpose.ADD, user_id=viewer.pk)
            codes = services.add(
                user=viewer,
                name=form.cleaned_data["name"],
                made=ceremonies.check_new(party, challenge, form.cleaned_data["passkey"]),
                party=party,
                challenge=challenge,
                session_key=str(request.session.session_key),
                actor=Actor.from_user(viewer),
            )
        except KmesError as error:
            form.refuse(error)
        else:
            sign_in.note_proof(request, Factor.PASSKEY)
            if codes:
                return show_codes(request, codes, is_new=True)
            messages.success(request, _("The passkey is added."))
            return go_to(request, reverse("accounts:second_factor"))
    context = {"form": form, "domain": ceremonies.domain_of(request), "must_add": sign_in.must_add(request)}
    return uncached(render_form(request, "accounts/add_passkey.html", context, refused=request.method == "POST"))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def remove(request: HttpRequest, passkey_id: int) -> HttpResponse:
    """Confirm, then remove one of the user's own passkeys."""
    viewer: Any = request.user
    passkey = get_object_or_404(services.list_passkeys(viewer), pk=passkey_id)
    if request.method == "POST":
        services.remove(user=viewer, passkey=passkey, actor=Actor.from_user(viewer))
        sign_in.forget_proof(request, viewer)
        messages.success(request, _("The passkey “%(name)s” is removed.") % {"name": passkey})
        return go_to(request, reverse("accounts:second_factor"))
    is_last = not second_factor.has_app(viewer) and services.list_passkeys(viewer).count() == 1
    context = {"passkey": passkey, "is_last": is_last, "is_required": second_factor.is_required(viewer)}
    return render_form(request, "accounts/remove_passkey.html", context, refused=False)
