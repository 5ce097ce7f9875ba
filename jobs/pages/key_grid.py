"""What the page of a job on several keys shows of each: its result, for a push also how far it came, and each reason once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from jobs.choices import STATE_COLOURS, IntentOperation, IntentState, TargetState
from jobs.models import Job, JobTarget
from jobs.pages.step_cells import Cell
from jobs.spec import registry
from logging_reports.choices import Service
from logging_reports.models import LogEntry

# So many keys are shown at first; what did not go well comes first.
KEYS_SHOWN = 50
_ORDER = (TargetState.FAILED, TargetState.NOT_TRIED, TargetState.PENDING, TargetState.SKIPPED, TargetState.DONE)
_WRAPPED = "azure.key_wrapped"
_INTENT_COLOURS = {
    IntentState.OK: "good",
    IntentState.ADOPTED: "good",
    IntentState.REFUSED: "bad",
    IntentState.UNKNOWN: "warning",
    IntentState.PENDING: "info",
}


@dataclass(frozen=True)
class KeyRow:
    """One key of a job: how it came out, how far it came, and its version or why it failed."""

    target: JobTarget
    colour: str
    cells: list[Cell]
    detail: str


@dataclass(frozen=True)
class KeyGrid:
    """The keys of a job. ``steps`` is empty where a key has one step only."""

    steps: list[str]
    rows: list[KeyRow]
    left_out: int


def read_key_grid(job: Job, targets: list[JobTarget], *, told: set[str], whole: bool) -> KeyGrid:
    """Return the keys, those first that did not go well. A reason in ``told`` is not repeated. Two queries for a push."""
    order: dict[str, int] = {state: place for place, state in enumerate(_ORDER)}
    ranked = sorted(targets, key=lambda target: order.get(target.state, len(order)))
    shown = ranked if whole else ranked[:KEYS_SHOWN]
    spec = registry.find(job.kind)
    is_push = spec is not None and spec.pushes_keys and len(targets) > 1
    found = _Progress(job) if is_push else None
    rows = []
    for target in shown:
        is_repeated = target.state in (TargetState.FAILED, TargetState.NOT_TRIED) and target.detail in told
        told.add(target.detail)
        detail = _("The reason is given above.") if is_repeated and target.detail else target.detail
        cells = found.cells_of(target) if found else []
        rows.append(KeyRow(target, STATE_COLOURS.get(target.state, "neutral"), cells, detail))
    return KeyGrid(_Progress.steps() if is_push else [], rows, len(ranked) - len(shown))


class _Progress:
    """How far each key of a push came, by the log and by what was announced before it was sent."""

    def __init__(self, job: Job) -> None:
        wrapped = LogEntry.objects.filter(service=Service.AZURE, job_id=job.pk, event=_WRAPPED)
        self._wrapped = set(wrapped.values_list("key_id", flat=True))
        imports = job.intents.filter(operation=IntentOperation.IMPORT).exclude(state=IntentState.VOID)
        # The newest of a key stays.
        self._imports: dict[Any, str] = dict(imports.order_by("sent_at").values_list("key_id", "state"))

    @staticmethod
    def steps() -> list[str]:
        """Return the names of the steps."""
        return [_("Wrapped"), _("Imported"), _("Recorded")]

    def cells_of(self, target: JobTarget) -> list[Cell]:
        """Return the key's steps."""
        wrapped, imported, recorded = self.steps()
        is_done, has_failed = target.state == TargetState.DONE, target.state == TargetState.FAILED
        sent = self._imports.get(target.key_id, "")
        if str(target.key_id) in self._wrapped:
            first = Cell(wrapped, _("Done"), "good")
        else:
            first = Cell(wrapped, _("Failed"), "bad") if has_failed and not sent else Cell(wrapped)
        second = (
            Cell(imported, str(IntentState(sent).label), _INTENT_COLOURS[IntentState(sent)]) if sent else Cell(imported)
        )
        return [first, second, Cell(recorded, _("Done"), "good") if is_done else Cell(recorded)]
