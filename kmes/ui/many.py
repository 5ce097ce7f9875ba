"""Acting on several rows of a list: which were selected, doing it to each, and saying what was done and what was not.

Each row is done by itself, with its own checks and its own log row. Knows no kind of object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kmes.core.errors import InputError, KmesError
from kmes.core.guarded_changes import one_by_one

# A page of a list has not more.
MAX_ROWS = 500
# So many refused rows are named in the message after the act.
REFUSED_NAMED = 5


@dataclass(frozen=True)
class Row:
    """One selected object, why it can't be acted on ("" when it can), and what else happens to it."""

    obj: Any
    reason: str = ""
    effects: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows: the objects that it was done to with the results, and the others with the reasons."""

    done: list[tuple[Any, Any]]
    refused: list[tuple[Any, str]]


def picked(request: HttpRequest) -> list[str]:
    """Return what the boxes of the selected rows sent, each once.

    Raises:
        InputError: none is selected, or more than ``MAX_ROWS``.

    """
    data = request.GET.copy()
    data.update(request.POST)
    values = list(dict.fromkeys(data.getlist("key")))
    if not values:
        raise InputError(_("No row is selected."), _("Tick the boxes of the rows."))
    if len(values) > MAX_ROWS:
        raise InputError(
            _("%(count)s rows are selected; one action takes %(most)s.")
            % {"count": f"{len(values):,}", "most": f"{MAX_ROWS:,}"},
            _("Select fewer, and do it in several parts."),
        )
    return values


def is_sent(request: HttpRequest) -> bool:
    """Return whether the action is to be done. A selection is posted because it may be long; that only asks."""
    return request.method == "POST" and "ask" not in request.POST


def act_on(rows: Iterable[Row], act: Callable[[Any], Any]) -> Outcome:
    """Act on each row that can be acted on; a refusal leaves that row out and goes on with the next."""
    outcome = Outcome([], [])
    for row in rows:
        if row.reason:
            outcome.refused.append((row.obj, row.reason))
            continue
        try:
            with one_by_one():
                outcome.done.append((row.obj, act(row.obj)))
        except KmesError as error:
            outcome.refused.append((row.obj, str(error)))
    return outcome


def context_of(rows: Sequence[Row], *, back: str, back_name: str) -> dict[str, Any]:
    """Return what ``ui/many.html`` shows of the rows, and the way back.

    The form sends on only the rows that can be acted on: one that the page says is left out stays so, whatever becomes
    of it meanwhile.
    """
    ready = sum(not row.reason for row in rows)
    return {
        "rows": sorted(rows, key=lambda row: not row.reason),
        "ready": ready,
        "left_out": len(rows) - ready,
        "carried": [("key", str(row.obj.pk)) for row in rows if not row.reason],
        "back": back,
        "back_name": back_name,
    }


def tell(request: HttpRequest, outcome: Outcome, done: str) -> None:
    """Put messages on the next page: ``done`` says how many it was done to; then the others with the reasons."""
    if outcome.done:
        messages.success(request, done)
    if outcome.refused:
        messages.warning(request, describe_refused(outcome))


def describe_refused(outcome: Outcome) -> str:
    """Return how many rows were refused, with names and reasons of the first ones."""
    count = len(outcome.refused)
    text = ngettext("%(count)d was left out", "%(count)d were left out", count) % {"count": count}
    named = [f"{obj}: {reason.rstrip('.')}" for obj, reason in outcome.refused[:REFUSED_NAMED]]
    more = [_("and %(count)d more") % {"count": count - REFUSED_NAMED}] if count > REFUSED_NAMED else []
    return _("%(count_in_words)s: %(names)s.") % {"count_in_words": text, "names": "; ".join([*named, *more])}
