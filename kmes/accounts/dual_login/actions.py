"""Which views are actions that can demand a second administrator, and which ones nobody needs one for.

Packages register their views; nothing here knows the packages above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kmes.accounts import sessions

# Without these the rest could be got round: by another account, another role, or no policy. They are demanded
# as soon as anything is.
ACCESS, SIGN_ON, POLICY = "access", "sign_on", "dual_login"
ALWAYS = frozenset({ACCESS, SIGN_ON, POLICY})
# Returns the codes of the actions that a view is with these arguments of its address.
Codes = Callable[[Mapping[str, Any]], frozenset[str]]


@dataclass
class _Registry:
    labels: dict[str, str | Promise] = field(default_factory=dict)
    views: dict[str, Codes] = field(default_factory=dict)
    # Of these a GET acts as well: it answers a file.
    downloads: set[str] = field(default_factory=set)
    exempt: set[str] = field(default_factory=set)
    # By view: whether what a request names is the user's own.
    own: dict[str, Callable[[HttpRequest], bool]] = field(default_factory=dict)


_registry = _Registry()


def add_action(code: str, label: str | Promise) -> None:
    """Add an action that the policy can name."""
    _registry.labels[code] = label


def register(*views: str, codes: Codes | str, are_downloads: bool = False) -> None:
    """Say which action these views are; ``codes`` may depend on the arguments of the address."""
    found = codes if callable(codes) else _constant(codes)
    _registry.views.update(dict.fromkeys(views, found))
    if are_downloads:
        _registry.downloads.update(views)


def exempt(*views: str) -> None:
    """Name views whose forms change nothing, or only what is the user's own: they never need a second administrator."""
    _registry.exempt.update(views)


def exempt_own(view: str, *, is_own: Callable[[HttpRequest], bool]) -> None:
    """Say when what a view does concerns its user alone: then it needs no second administrator."""
    _registry.own[view] = is_own


def labels() -> dict[str, str | Promise]:
    """Return the actions that a policy can choose, by code, with their labels."""
    return {code: label for code, label in _registry.labels.items() if code not in ALWAYS}


def label_of(code: str) -> str:
    """Return the label of an action; the code of one that this release does not know."""
    return str(_registry.labels.get(code, code))


def registered() -> frozenset[str]:
    """Return the views that are actions."""
    return frozenset(_registry.views)


def exempted() -> frozenset[str]:
    """Return the views that never need a second administrator."""
    return frozenset(_registry.exempt)


def codes_of(view: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the actions that a view is."""
    found = _registry.views.get(view)
    return found(arguments) if found is not None else frozenset()


def acts(view: str, *, method: str) -> bool:
    """Return whether a request of this method can change anything that is not the user's own."""
    if view in _registry.exempt:
        return False
    return method not in {"GET", "HEAD", "OPTIONS"} or view in _registry.downloads


def is_own(view: str, request: HttpRequest) -> bool:
    """Return whether what a request of this view names is the user's own."""
    return view in _registry.own and _registry.own[view](request)


def is_download(view: str) -> bool:
    """Return whether a view answers a file."""
    return view in _registry.downloads


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
    register("accounts:end_session", codes=ACCESS)
    exempt_own("accounts:end_session", is_own=sessions.is_own)
    register("accounts:role_add", "accounts:role_edit", "accounts:role_delete", codes=ACCESS)
    register("accounts:sign_on", codes=SIGN_ON)
    register("accounts:dual_login", codes=POLICY)
    register("logs:export_start", codes="log_export")
    register("logs:export", "logs:export_lines", "logs:export_file", codes="log_export", are_downloads=True)
    register("forwarding:add", "forwarding:edit", "forwarding:delete", codes="forwarding")
    exempt(*(f"accounts:{view}" for view in _OWN))
    exempt(*(f"ui:{view}" for view in ("preferences", "colours", "csv", "tree", "table", "views")))
    exempt(*(f"notices:{view}" for view in ("read_all", "read", "own_mail", "own_mail_test")))
    exempt("logs:filter_save", "logs:filter_delete")


# Signing in and out, one's own password, factors and sessions, the second administrator, and a menu sent by POST.
_OWN = (
    *("login", "second_step", "second_step_options", "passkey_sign_in", "sign_in_options", "sign_on_logout", "logout"),
    *("own_password", "end_other_sessions", "session_time_left", "confirm_factor", "passkey_options"),
    *("add_app", "recovery_codes", "remove_factor", "add_passkey", "new_passkey_options", "remove_passkey"),
    *("second_administrator", "second_administrator_factor", "second_administrator_options"),
    *("end_second_administrator", "users_actions"),
)


def _constant(code: str) -> Codes:
    return lambda _arguments: frozenset({code})
