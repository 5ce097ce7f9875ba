"""Signing in at the identity provider, its answer, a confirmation by it, and its message that a session there has ended."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from kmes.accounts import client_address, sign_in_limits, single_use
from kmes.accounts.company_sign_on import attempts, completion, logout, protocol, seals, sign_out
from kmes.accounts.company_sign_on.attempts import Attempt, Purpose
from kmes.accounts.company_sign_on.errors import NotAllowed, NotAsSaved, SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.selectors import active_provider, can_confirm, find_provider
from kmes.accounts.company_sign_on.settings_views import show_trial
from kmes.accounts.rights import Right
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor.views import uncached
from kmes.accounts.sign_in_log import record_once
from kmes.accounts.views import REFUSED, locked_out
from kmes.core.actor import SYSTEM
from kmes.ui.access import right_required
from kmes.ui.responses import back_to


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the identity provider, to sign in."""
    page = back_to(request, resolve_url("dashboard:home"))
    if request.user.is_authenticated:
        return redirect(page)
    provider = active_provider()
    # Another site could sign its visitors in without their knowing, because the provider may not ask.
    if provider is None or request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        return redirect(f"{resolve_url('accounts:login')}?{urlencode({'next': page}, safe='/')}")
    return send_to_provider(request, provider, Purpose.SIGN_IN, next_url=page)


@require_safe
@right_required(Right.CONSOLE_READ)
def confirm(request: HttpRequest) -> HttpResponse:
    """Send the browser to the identity provider, which asks its user to sign in again. A user with a factor here proves that factor."""
    viewer: Any = request.user
    page = back_to(request, reverse("dashboard:home"))
    provider = active_provider()
    if second_factor.has_factor(viewer):
        return redirect(f"{reverse('accounts:confirm_factor')}?{urlencode({'next': page}, safe='/')}")
    if provider is None or not can_confirm(request):
        return redirect(page)
    return send_to_provider(request, provider, Purpose.CONFIRM, next_url=page)


@require_safe
@right_required(Right.USER_MANAGE)
def try_sign_in(request: HttpRequest) -> HttpResponse:
    """Send an administrator's browser to the identity provider, to see what a sign-in would give."""
    provider = find_provider()
    if provider is None:
        return redirect("accounts:sign_on")
    return send_to_provider(request, provider, Purpose.TRIAL, next_url="")


def send_to_provider(
    request: HttpRequest, provider: SignOnProvider, purpose: Purpose, *, next_url: str
) -> HttpResponse:
    """Redirect to the provider, with an attempt in the browser's cookie; or show why that is not possible."""
    attempt = attempts.begin(request, provider, purpose, next_url=next_url)
    try:
        seals.open_provider(provider)
        response = HttpResponseRedirect(protocol.authorization_address(request, provider, attempt))
    except SignOnRefused as error:
        return _show_refusal(request, error)
    attempts.write(request, response, attempt)
    return uncached(response)


@require_safe
def answer(request: HttpRequest) -> HttpResponse:
    """Take the provider's answer, with which the browser comes back: sign in, confirm, or show what a trial gave."""
    if sign_in_limits.is_address_over(address := client_address.of_request(request)):
        sign_in_limits.log_refusal(name="", address=address, reason=REFUSED)
        return locked_out(request)
    holder = HttpResponse()
    try:
        response = _answer(request, holder)
    except SignOnRefused as error:
        response = _show_refusal(request, error)
    # The attempt is gone from the browser, whatever came of it.
    response.cookies.update(holder.cookies)
    return uncached(response)


def _answer(request: HttpRequest, holder: HttpResponse) -> HttpResponse:
    provider, given = find_provider(), protocol.read_answer(request)
    attempt = attempts.take(request, holder, given.state)
    if provider is None or attempt is None or not attempts.is_here(request, provider, attempt):
        raise SignOnRefused(
            "the answer's state belongs to no sign-in that this browser began within 10 minutes",
            _("This sign-in was begun elsewhere, or too long ago."),
            _("Begin again."),
        )
    seals.open_provider(provider)
    if attempt.purpose is not Purpose.TRIAL and not provider.is_enabled:
        raise NotAllowed("company sign-on is switched off", _("Company sign-on is switched off."))
    # An answer without a code signs nobody in; strangers could leave a row with each.
    if given.code and not _use_up(attempt):
        raise SignOnRefused("the answer was used before", _("This sign-in was used before."), _("Begin again."))
    return _conclude(request, provider, attempt, given)


def _use_up(attempt: Attempt) -> bool:
    with transaction.atomic():
        return single_use.use_up(attempt.state.encode())


def _conclude(request: HttpRequest, provider: SignOnProvider, attempt: Attempt, given: protocol.Answer) -> HttpResponse:
    page = attempt.next_url or resolve_url("dashboard:home")
    if attempt.purpose is Purpose.TRIAL:
        return show_trial(request, provider, lambda: protocol.redeem(request, provider, attempt, given))
    proven = protocol.redeem(request, provider, attempt, given)
    if attempt.purpose is Purpose.CONFIRM:
        completion.confirm(request, provider, proven)
        return redirect(page)
    if request.user.is_authenticated:
        return redirect(page)
    return redirect(page if completion.sign_in(request, provider, proven, next_url=page) else "accounts:second_step")


def _show_refusal(request: HttpRequest, error: SignOnRefused) -> HttpResponse:
    log_refusal(request, f"Company sign-on refused: {error.detail}", error)
    viewer: Any = request.user
    context = {"error": error, "provider": active_provider(), "is_signed_in": viewer.is_authenticated}
    status = HTTPStatus.SERVICE_UNAVAILABLE if error.retryable else HTTPStatus.FORBIDDEN
    return uncached(render(request, "accounts/company_sign_on/refused.html", context, status=status))


def log_refusal(request: HttpRequest, message: str, error: SignOnRefused) -> None:
    """Log why a sign-in or a message of the provider is refused."""
    if isinstance(error, NotAsSaved):
        record_once("access.sign_on_not_genuine", SYSTEM, message, request, within=timedelta(hours=1))
    name = sign_in_limits.COMPANY if error.is_suspicious else sign_in_limits.PROVIDER
    sign_in_limits.log_refusal(name=name, address=client_address.of_request(request), reason=message)


@require_safe
def show_signed_out(request: HttpRequest) -> HttpResponse:
    """Say that the user is signed out here and there, in the browser that was sent to the provider for it."""
    if request.user.is_authenticated or not sign_out.has_returned(request):
        return redirect("accounts:login")
    context = {"provider": active_provider()}
    response = render(request, "accounts/company_sign_on/signed_out.html", context)
    sign_out.forget(response)
    return uncached(response)


@csrf_exempt
@sensitive_post_parameters()
@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    """Take a logout token of the provider. It is no form of a page: what it asks for is proven by its signature."""
    if sign_in_limits.is_address_over(client_address.of_request(request)):
        return _refuse_logout("invalid_request", HTTPStatus.TOO_MANY_REQUESTS)
    try:
        logout.end_sessions(request.POST.get("logout_token", ""))
    except SignOnRefused as error:
        log_refusal(request, f"Logout token of the identity provider refused: {error.detail}", error)
        return _refuse_logout("invalid_request", HTTPStatus.BAD_REQUEST)
    return uncached(HttpResponse())


def _refuse_logout(error: str, status: HTTPStatus) -> HttpResponse:
    return uncached(JsonResponse({"error": error}, status=status))
