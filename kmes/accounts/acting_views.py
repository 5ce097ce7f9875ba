"""The register of views that act: which actions they are, and what is asked for before they do.

One entry of a view serves both that ask: ``second_factor.step_up`` for the second factor of the session's own user, and
``dual_login`` for a second administrator. Packages register their views. Knows neither of the two, and no package above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kmes.accounts import sessions

# Without these the rest could be got round: by another account, another role, or no policy. Dual login demands a second
# administrator for them as soon as it demands one for anything.
ACCESS, SIGN_ON, POLICY = "access", "sign_on", "dual_login"
ALWAYS = frozenset({ACCESS, SIGN_ON, POLICY})
# What changes a user's own second factors.
FACTOR_VIEWS = ("accounts:add_app", "accounts:add_passkey", "accounts:new_passkey_options", "accounts:remove_passkey")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Returns the codes of the actions that a view is with these arguments of its address.
Codes = Callable[[Mapping[str, Any]], frozenset[str]]
RequestTest = Callable[[HttpRequest], bool]


def _never(_request: HttpRequest) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class ActingView:
    """What is asked for before a view acts.

    Attributes:
        codes: the actions that it is; where it is none, nothing is asked for.
        is_own: whether what a request names is its user's own; then nothing is asked for.
        is_signed: whether a request proves the second factor by itself, as a statement that a passkey signs does.
        needs_nobody_else: whether dual login leaves it out.
        is_download: whether a GET acts as well: it answers a file.
        even_if_off: whether the second factor is asked for where KMES_STEP_UP_MINUTES turns the rest off.

    """

    codes: Codes
    is_own: RequestTest = _never
    is_signed: RequestTest = _never
    needs_nobody_else: bool = False
    is_download: bool = False
    even_if_off: bool = False


@dataclass
class _Registry:
    labels: dict[str, str | Promise] = field(default_factory=dict)
    views: dict[str, ActingView] = field(default_factory=dict)
    exempt: set[str] = field(default_factory=set)


_registry = _Registry()


def add_action(code: str, label: str | Promise) -> None:
    """Add an action that dual login can name."""
    _registry.labels[code] = label


def register(*views: str, codes: Codes | str, **values: Any) -> None:
    """Say which action these views are, and what else an ``ActingView`` has; ``codes`` may depend on the arguments."""
    found = ActingView(codes=codes if callable(codes) else _constant(codes), **values)
    _registry.views.update(dict.fromkeys(views, found))


def exempt(*views: str) -> None:
    """Name views whose forms change nothing, or only what is the user's own: nothing is asked for before them."""
    _registry.exempt.update(views)


def labels() -> dict[str, str | Promise]:
    """Return the actions that dual login can choose, by code, with their labels."""
    return {code: label for code, label in _registry.labels.items() if code not in ALWAYS}


def label_of(code: str) -> str:
    """Return the label of an action; the code of one that this release does not know."""
    return str(_registry.labels.get(code, code))


def find(view: str) -> ActingView | None:
    """Return what is asked for before a view acts; None for one that is not registered."""
    return _registry.views.get(view)


def registered() -> dict[str, ActingView]:
    """Return all views that are registered, by name."""
    return dict(_registry.views)


def exempted() -> frozenset[str]:
    """Return the views before which nothing is asked for."""
    return frozenset(_registry.exempt)


def acts(view: str, *, method: str) -> bool:
    """Return whether a request of this method can change anything for which dual login can need somebody else."""
    found = find(view)
    if view in _registry.exempt or (found is not None and found.needs_nobody_else):
        return False
    return method not in _SAFE or is_download(view)


def codes_of(view: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the actions that a view is."""
    found = find(view)
    return found.codes(arguments) if found is not None else frozenset()


def is_own(view: str, request: HttpRequest) -> bool:
    """Return whether what a request of this view names is the user's own."""
    found = find(view)
    return found is not None and found.is_own(request)


def is_download(view: str) -> bool:
    """Return whether a view answers a file."""
    found = find(view)
    return found is not None and found.is_download


def register_all() -> None:
    """Register the views of this package, and those of the log, which lies below it."""
    add_action(ACCESS, _("Changing users and roles"))
    add_action(SIGN_ON, _("Changing company sign-on"))
    add_action(POLICY, _("Changing dual login"))
    add_action("log_export", _("Exporting the log"))
    add_action("forwarding", _("Changing where the log is forwarded to"))
    users = (
        *("add", "edit", "deactivate", "reactivate", "reset_password", "reset_factor", "unlink"),
        *("give_role", "take_role"),
    )
    register(*(f"accounts:user_{act}" for act in users), "accounts:unlock", "accounts:users_act", codes=ACCESS)
    register("accounts:end_session", codes=ACCESS, is_own=sessions.is_own)
    register("accounts:role_add", "accounts:role_edit", "accounts:role_delete", codes=ACCESS)
    register("accounts:sign_on", codes=SIGN_ON)
    register("accounts:dual_login", codes=POLICY)
    register(*FACTOR_VIEWS, codes="own_factors", needs_nobody_else=True, even_if_off=True)
    register("logs:export_start", codes="log_export")
    register("logs:export", "logs:export_lines", "logs:export_file", codes="log_export", is_download=True)
    register("forwarding:add", "forwarding:edit", "forwarding:delete", codes="forwarding")
    exempt(*(f"accounts:{view}" for view in _OWN))
    exempt(*(f"ui:{view}" for view in ("preferences", "colours", "csv", "tree", "table", "views")))
    exempt(*(f"notices:{view}" for view in ("read_all", "read", "own_mail", "own_mail_test")))
    exempt("logs:filter_save", "logs:filter_delete")


# Signing in and out, one's own password, factors and sessions, the second administrator, and a menu sent by POST.
_OWN = (
    *("login", "second_step", "second_step_options", "passkey_sign_in", "sign_in_options", "sign_on_logout", "logout"),
    *("own_password", "end_other_sessions", "session_time_left", "confirm_factor", "passkey_options"),
    *("recovery_codes", "remove_factor", "second_administrator", "second_administrator_factor"),
    *("second_administrator_options", "end_second_administrator", "users_actions"),
)


def _constant(code: str) -> Codes:
    return lambda _arguments: frozenset({code})
