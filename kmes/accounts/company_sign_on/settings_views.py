"""Identity Management > Company sign-on: the settings, the test of what the provider publishes, and a trial sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from kmes.accounts.company_sign_on import protocol, services, trial
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.accounts.company_sign_on.forms import ProviderForm
from kmes.accounts.company_sign_on.guarded_changes import SAVE, requested_provider
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.company_sign_on.selectors import find_provider
from kmes.accounts.company_sign_on.trial import Finding
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.core.guarded_changes import values_of_request
from kmes.ui.access import right_required
from kmes.ui.responses import go_to


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def edit(request: HttpRequest) -> HttpResponse:
    """Show and change the settings."""
    provider = find_provider()
    approved = values_of_request(request.GET.get("approved", ""), SAVE, user_id=request.user.pk)
    form = ProviderForm(request.POST or None, provider=provider, shown=requested_provider(approved))
    if request.method == "POST" and form.is_valid():
        try:
            services.save(form.values(), form.secret(), actor=Actor.from_user(request.user))
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Company sign-on is saved."))
            return go_to(request, request.path)
    return _show(request, provider, form=form)


@require_POST
@right_required(Right.USER_MANAGE)
def test(request: HttpRequest) -> HttpResponse:
    """Look at what the provider publishes, and show it on the page."""
    provider = find_provider()
    if provider is None:
        return redirect("accounts:sign_on")
    findings = trial.examine(provider)
    _log(request, findings)
    return _show(request, provider, findings=findings)


def show_trial(request: HttpRequest, provider: SignOnProvider, redeem: Callable[[], Proven]) -> HttpResponse:
    """Show what a trial sign-in gave. Nobody is signed in by it."""
    viewer: Any = request.user
    if not viewer.is_authenticated or not viewer.has_right(Right.USER_MANAGE):
        raise SignOnRefused("the trial's user may not manage users")
    try:
        findings = trial.describe(provider, redeem())
    except SignOnRefused as error:
        findings = [Finding("sign-in", "bad", error.detail, error.detail)]
    _log(request, findings)
    return _show(request, provider, findings=findings)


def _log(request: HttpRequest, findings: list[Finding]) -> None:
    failed = {each.name: each.detail for each in findings if each.badge == "bad"}
    text = f"failed: {', '.join(failed)}" if failed else "passed"
    services.log_trial(text, actor=Actor.from_user(request.user), data=failed)


def _show(
    request: HttpRequest,
    provider: SignOnProvider | None,
    *,
    form: ProviderForm | None = None,
    findings: list[Finding] | None = None,
) -> HttpResponse:
    context = {
        "form": form or ProviderForm(provider=provider),
        "provider": provider,
        "findings": findings,
        "answer_address": protocol.console_address(request, "accounts:sign_on_answer"),
        "signed_out_address": protocol.console_address(request, "accounts:sign_on_signed_out"),
        "logout_address": protocol.console_address(request, "accounts:sign_on_logout"),
    }
    is_refused = form is not None and form.is_bound
    return render(request, "accounts/company_sign_on/settings.html", context, status=422 if is_refused else 200)
