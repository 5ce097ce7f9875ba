"""Asks for the second factor again before what is dangerous, unless it was proven a few minutes ago.

Which views those are says ``kmes.accounts.acting_views``. It concerns sessions whose user has a second factor, and those that
began at the identity provider, which is asked again; the others have nothing to prove (docs/access.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from kmes.accounts import acting_views
from kmes.accounts.acting_views import FACTOR_VIEWS
from kmes.accounts.company_sign_on.selectors import can_confirm
from kmes.accounts.second_factor.services import has_factor
from kmes.accounts.second_factor.sign_in import PROVEN_AT, has_fresh_password
from kmes.core.clock import now
from kmes.ui.ended_sessions import keep
from kmes.ui.responses import go_to

_MINUTES = 5


def minutes() -> int:
    """Return how long a proof is good where it is asked for in any case."""
    return int(settings.KMES_STEP_UP_MINUTES or _MINUTES)


def is_due(request: HttpRequest, *, name: str = "") -> bool:
    """Return whether the user of this session has to prove the second factor again, before the view of a name."""
    view = acting_views.find(name)
    limit = minutes() if view is not None and view.even_if_off else settings.KMES_STEP_UP_MINUTES
    user: Any = request.user
    is_proven = not limit or _is_within(request.session.get(PROVEN_AT), limit)
    return not is_proven and (has_factor(user) or (can_confirm(request) and not _is_new(request, name)))


def _is_new(request: HttpRequest, name: str) -> bool:
    """Return whether the session began a moment ago, and the view adds a factor to a user who has none."""
    return name in FACTOR_VIEWS and has_fresh_password(request)


def may_confirm(request: HttpRequest) -> bool:
    """Return whether the page that asks for the second factor has anything to ask."""
    return is_due(request) or is_due(request, name=FACTOR_VIEWS[0])


def _is_within(proven_at: float | None, limit: int) -> bool:
    return proven_at is not None and 0 <= now().timestamp() - proven_at <= limit * 60


class StepUpMiddleware:
    """Leads to the page that asks for the second factor, before a dangerous view is called."""

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
        view = acting_views.find(name)
        if not user.is_authenticated or view is None or not is_due(request, name=name):
            return None
        if not view.codes(arguments) or view.is_own(request) or view.is_signed(request):
            return None
        return lead_to(request, "accounts:confirm_factor", name=name)


def lead_to(request: HttpRequest, page: str, *, name: str) -> HttpResponse:
    """Redirect to a page that asks for a proof, and from there back to the view of a name. A sent form is kept."""
    if request.method == "POST":
        back = keep(request)
    elif acting_views.is_download(name):
        # The page would stay, because a file does not replace it.
        back = f"{reverse('logs:list')}?{request.GET.urlencode()}"
    else:
        back = request.get_full_path()
    return go_to(request, f"{reverse(page)}?{urlencode({'next': back}, safe='/')}")
