"""What the page of a job on many key groups shows: a grid of groups and steps, and each reason once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from django.db.models import Prefetch
from django.utils.translation import gettext as _

from jobs.choices import FAILED_STATES, OPEN_STATES, STATE_COLOURS, SUCCEEDED_STATES, JobState, StepState
from jobs.kinds.many_groups.spec import REFUSED
from jobs.models import Job, JobStep
from jobs.pages.step_cells import Cell
from jobs.spec import registry, step_label
from keygroups.models import KeyGroup

# So many rows are shown; what failed comes first.
ROWS_SHOWN = 200
# In which order rows stand, by state; a group without a job is "" or "refused".
_ORDER = (*FAILED_STATES, "refused", JobState.CANCELLED, JobState.RUNNING, JobState.QUEUED, "", JobState.WARNED)


@dataclass(frozen=True)
class Row:
    """One group: its job, how that stands, its steps, and why it failed."""

    name: str
    url: str
    job: str
    job_url: str
    state: str
    label: str
    colour: str
    cells: list[Cell]
    reason: str


@dataclass(frozen=True)
class Matrix:
    """All groups of a job: how many succeeded, and how they stand."""

    steps: list[str]
    rows: list[Row]
    total: int
    done: int
    left_out: int
    # Each reason with the groups that failed by it.
    reasons: list[tuple[str, list[str]]] = field(default_factory=list)


def read_matrix(job: Job) -> Matrix | None:
    """Return the grid of a job on many key groups, None for any other: three queries."""
    wanted = [UUID(each) for each in job.params.get("group_ids", ())]
    if not wanted:
        return None
    steps = Prefetch("steps", queryset=JobStep.objects.order_by("ordinal"))
    parts = {part.group_id: part for part in job.parts.prefetch_related(steps).order_by("created_at")}
    names = dict(KeyGroup.objects.filter(pk__in=wanted).values_list("pk", "name"))
    columns = _columns(job, parts.values())
    refused = job.run_notes.get(REFUSED, {})
    rows = [_row(each, names.get(each, ""), parts.get(each), refused.get(str(each), ""), columns) for each in wanted]
    order = {state: place for place, state in enumerate(_ORDER)}
    ranked = sorted(rows, key=lambda row: order.get(row.state, len(order)))
    return Matrix(
        steps=[step_label(name) for name in columns],
        rows=ranked[:ROWS_SHOWN],
        total=len(rows),
        done=sum(row.state in SUCCEEDED_STATES for row in rows),
        left_out=max(0, len(rows) - ROWS_SHOWN),
        reasons=_reasons(rows),
    )


def _columns(job: Job, parts: Iterable[Job]) -> list[str]:
    """Return the names of the steps of each part; of a step and its alternative only what was begun."""
    spec = registry.find(job.work_kind)
    steps = spec.steps if spec else ()
    begun = {step.name for part in parts for step in part.steps.all()}
    either = {each.name for pair in pairwise(steps) if pair[1].is_alternative for each in pair}
    return [step.name for step in steps if step.name not in either or step.name in begun]


def _row(group_id: UUID, name: str, part: Job | None, refused: str, columns: list[str]) -> Row:
    url = KeyGroup(pk=group_id).get_absolute_url() if name else ""
    if part is None:
        state, label, colour = ("refused", _("Not begun"), "bad") if refused else ("", _("Not begun yet"), "neutral")
        cells = [Cell(step_label(column)) for column in columns]
        return Row(name or _("(deleted)"), url, "", "", state, label, colour, cells, refused)
    found = {step.name: step for step in part.steps.all()}
    cells = [_cell(column, found.get(column)) for column in columns]
    reason = f"{part.error_what} {part.error_remedy}".strip() if part.state not in SUCCEEDED_STATES else ""
    waits = part.waiting_for if part.state in OPEN_STATES else ""
    return Row(
        name or part.subject,
        url,
        str(part),
        part.get_absolute_url(),
        part.state,
        str(JobState(part.state).label),
        part.state_colour,
        cells,
        reason or waits,
    )


def _cell(column: str, step: JobStep | None) -> Cell:
    label = step_label(column)
    if step is None:
        return Cell(label)
    return Cell(label, str(StepState(step.state).label), STATE_COLOURS.get(step.state, "neutral"))


def _reasons(rows: list[Row]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.reason and row.state in (*FAILED_STATES, "refused"):
            found.setdefault(row.reason, []).append(row.name)
    return sorted(found.items(), key=lambda each: -len(each[1]))
