"""Leads to the sign-in of a second administrator before a view acts that needs one, and names them to log rows.

Runs after the step-up, which asks the session's own user. Machine paths have no user and pass.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from kmes.accounts import acting_views
from kmes.accounts.dual_login import second_sign_in
from kmes.accounts.dual_login.policy import Policy, read_policy
from kmes.accounts.second_factor.step_up import lead_to
from kmes.accounts.sign_in_log import record_once
from kmes.core.actor import SYSTEM, SecondAdministrator

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class DualLoginMiddleware:
    """Checks each request that acts, and finds out who is signed in besides the session's user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Any, _args: tuple[Any, ...], arguments: dict[str, Any]
    ) -> HttpResponse | None:
        """Redirect, unless the view may be called. A form that was sent is filled in again afterwards."""
        user: Any = request.user
        name = request.resolver_match.view_name if request.resolver_match else ""
        is_act = acting_views.acts(name, method=str(request.method))
        # Pages without anybody noted cost no query.
        if not user.is_authenticated or not (is_act or second_sign_in.NOTED in request.session):
            return None
        policy = read_policy()
        current = second_sign_in.find_current(request, policy)
        if current is not None:
            user.second_administrator = SecondAdministrator(current.second.get_username(), current.second_id)
            request.second_sign_in = current  # type: ignore[attr-defined]
            return None
        if not is_act or not _needs_second(request, policy, name, arguments) or acting_views.is_own(name, request):
            return None
        if not policy.is_genuine:
            text = "Dual login is not as an administrator saved it; everything needs a second administrator"
            record_once("access.dual_login_not_genuine", SYSTEM, text, request, within=timedelta(days=1))
        return lead_to(request, "accounts:second_administrator", name=name)


def _needs_second(request: HttpRequest, policy: Policy, name: str, arguments: dict[str, Any]) -> bool:
    user: Any = request.user
    codes = acting_views.codes_of(name, arguments)
    return policy.demands(user, codes, is_reading=request.method in _SAFE)
