"""Asks for the second factor again before what is dangerous, unless it was proven a few minutes ago.

Packages register the views that do such things. It concerns sessions whose user has a second factor, and those that
began at the identity provider, which is asked again; the others have nothing to prove (docs/access.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from kmes.accounts import sessions
from kmes.accounts.company_sign_on.selectors import can_confirm
from kmes.accounts.second_factor.services import has_factor
from kmes.accounts.second_factor.sign_in import PROVEN_AT, has_fresh_password
from kmes.core.clock import now
from kmes.ui.ended_sessions import keep
from kmes.ui.responses import go_to

# By the name of a view: whether it is dangerous with these arguments of its address.
_dangerous: dict[str, Callable[[dict[str, Any]], bool]] = {}
# By the name of a view: whether a request proves the second factor by itself, as a statement that a passkey signs does,
# or concerns the user alone.
_proving: dict[str, Callable[[HttpRequest], bool]] = {}
# Views that ask even where KMES_STEP_UP_MINUTES turns the rest off.
_always_asking: set[str] = set()
# What changes the factors themselves. It asks even where KMES_STEP_UP_MINUTES turns the rest off.
_OF_FACTORS = ("accounts:add_app", "accounts:add_passkey", "accounts:new_passkey_options", "accounts:remove_passkey")
_MINUTES = 5


def register(
    *names: str,
    when: Callable[[dict[str, Any]], bool] | None = None,
    unless: Callable[[HttpRequest], bool] | None = None,
    even_if_off: bool = False,
) -> None:
    """Have the second factor asked for before these views; ``when`` gets the arguments of the address.

    ``unless`` says of a request whether the view itself has the user prove it, or it concerns the user alone; ``even_if_off`` has it asked for where
    the installation turned the rest off.
    """
    _always_asking.update(names if even_if_off else ())
    for name in names:
        _dangerous[name] = when or _always
        if unless is not None:
            _proving[name] = unless


def registered() -> frozenset[str]:
    """Return the names of the views that were registered."""
    return frozenset(_dangerous)


def register_all() -> None:
    """Register the views of this package, and those of the log, which lies below it."""
    acts = (
        *("add", "edit", "deactivate", "reactivate", "reset_password", "reset_factor", "unlink"),
        *("give_role", "take_role"),
    )
    register(*(f"accounts:user_{act}" for act in acts), "accounts:unlock", "accounts:users_act")
    register("accounts:end_session", unless=sessions.is_own)
    register("accounts:role_add", "accounts:role_edit", "accounts:role_delete")
    register(*_DOWNLOADS, "logs:export_start")
    register("forwarding:add", "forwarding:edit", "forwarding:delete")
    register(*_OF_FACTORS, "accounts:sign_on", "accounts:dual_login")


def minutes() -> int:
    """Return how long a proof is good where it is asked for in any case."""
    return int(settings.KMES_STEP_UP_MINUTES or _MINUTES)


def is_due(request: HttpRequest, *, name: str = "") -> bool:
    """Return whether the user of this session has to prove the second factor again, before the view of a name."""
    limit = minutes() if name in _OF_FACTORS or name in _always_asking else settings.KMES_STEP_UP_MINUTES
    user: Any = request.user
    is_proven = not limit or _is_within(request.session.get(PROVEN_AT), limit)
    return not is_proven and (has_factor(user) or (can_confirm(request) and not _is_new(request, name)))


def _is_new(request: HttpRequest, name: str) -> bool:
    """Return whether the session began a moment ago, and the view adds a factor to a user who has none."""
    return name in _OF_FACTORS and has_fresh_password(request)


def may_confirm(request: HttpRequest) -> bool:
    """Return whether the page that asks for the second factor has anything to ask."""
    return is_due(request) or is_due(request, name=_OF_FACTORS[0])


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
        if not user.is_authenticated or name not in _dangerous or not is_due(request, name=name):
            return None
        if not _dangerous[name](arguments) or (name in _proving and _proving[name](request)):
            return None
        return lead_to(request, "accounts:confirm_factor", name=name)


def lead_to(request: HttpRequest, page: str, *, name: str) -> HttpResponse:
    """Redirect to a page that asks for a proof, and from there back to the view of a name. A sent form is kept."""
    if request.method == "POST":
        back = keep(request)
    elif name in _DOWNLOADS:
        # The page would stay, because a file does not replace it.
        back = f"{reverse('logs:list')}?{request.GET.urlencode()}"
    else:
        back = request.get_full_path()
    return go_to(request, f"{reverse(page)}?{urlencode({'next': back}, safe='/')}")


# Answer a file.
_DOWNLOADS = ("logs:export", "logs:export_lines", "logs:export_file")


def _always(_arguments: dict[str, Any]) -> bool:
    return True
