"""Signing in and out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from kmes.accounts import client_address, sign_in_limits
from kmes.accounts.company_sign_on import sign_out
from kmes.accounts.company_sign_on.selectors import active_provider
from kmes.accounts.forms import SignInForm
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor import sign_in
from kmes.accounts.second_factor.passkeys import ceremonies
from kmes.accounts.second_factor.passkeys import services as passkeys
from kmes.accounts.session_store import SIGN_ON
from kmes.ui import ended_sessions

# As the form's field.
NAME_LENGTH = 150
REFUSED = "Sign-in refused: too many failures from this address or for this name"


class SignIn(LoginView):
    """The sign-in page. After too many failures a user is refused before the password is checked."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign in."""
        name = request.POST.get("username", "").replace("\0", "")[:NAME_LENGTH]
        address = client_address.of_request(request)
        if sign_in_limits.is_over(name=name, address=address):
            # Without the name, which changes with every try.
            sign_in_limits.log_refusal(name="", address=address, reason=REFUSED)
            return locked_out(request)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Sign in, or lead to the second step."""
        user = form.get_user()
        if second_factor.has_factor(user):
            sign_in.begin(self.request, user, next_url=self.get_success_url())
            return redirect("accounts:second_step")
        return super().form_valid(form)

    def get_context_data(self, **values: Any) -> dict[str, Any]:
        """Add why the user is asked to sign in."""
        has_ended = ended_sessions.has_ended(self.request)
        is_kept = has_ended and ended_sessions.is_kept(self.request)
        values = {"company": active_provider(), **values}
        values = {"has_passkeys": passkeys.are_used(ceremonies.domain_of(self.request)), **values}
        return super().get_context_data(**values, session_ended=has_ended, is_form_kept=is_kept)


# Django would take PUT as well, and answer any method of a signed-in user.
login = require_http_methods(["GET", "HEAD", "POST"])(SignIn.as_view())


class SignOut(LogoutView):
    """Ends the session; only then leads to the sign-out at the identity provider, where the settings say so."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign out."""
        noted, user_id = request.session.get(SIGN_ON), request.user.pk
        response = super().post(request, *args, **kwargs)
        return sign_out.lead_there(request, noted, user_id=user_id) or response


logout = SignOut.as_view()


def locked_out(
    request: HttpRequest,
    *_args: Any,
    **_kwargs: Any,
) -> HttpResponse:
    """Show that sign-in is locked after too many failures."""
    return render(request, "accounts/locked.html", status=429)
