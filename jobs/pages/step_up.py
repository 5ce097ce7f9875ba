"""Which pages of jobs ask for the second factor again: those that end or stop the use of a key, or approve that."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from jobs.pages.selectors import find_job
from kmes.accounts.second_factor import step_up
from kmes.accounts.second_factor.passkeys import statements

KINDS = frozenset({"destroy", "cloud_delete", "cloud_purge", "set_enabled", "repair"})


def register_all() -> None:
    """Register the pages."""
    step_up.register("jobs:remove")
    step_up.register("jobs:start", when=lambda arguments: arguments["kind"] in KINDS)
    step_up.register("approvals:decide", unless=_is_signed)
    step_up.register("approvals:policy")
    step_up.register("jobs:start_many", when=lambda arguments: arguments["kind"] in KINDS)
    # Several may be retried of which one does such a thing.
    step_up.register("jobs:retry_many")
    step_up.register("jobs:retry", when=_is_of_such_a_job)


def _is_signed(request: HttpRequest) -> bool:
    """Return whether the user approves with a passkey, which proves more than a confirmation before. Refusing does not."""
    user: Any = request.user
    return statements.signs(user) and (request.method != "POST" or bool(request.POST.get("passkey")))


def _is_of_such_a_job(arguments: dict[str, Any]) -> bool:
    job = find_job(arguments["code"])
    return job is not None and job.work_kind in KINDS
