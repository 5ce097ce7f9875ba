"""What will happen if something is done to many key groups: which are worked on, and which are left out and why."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.kinds.many_groups.operations import Operation
from jobs.planning.blockers import read_situations
from keygroups.models import KeyGroup
from keygroups.policy import tier_text
from keygroups.scope_marks import why_outside

# So many groups are listed, those that are left out first.
GROUPS_LISTED = 200


@dataclass(frozen=True)
class Line:
    """One selected group: where it is, and why it is left out ("" when it is not)."""

    group: KeyGroup
    place: str
    reason: str


@dataclass(frozen=True)
class ManyPlan:
    """What a confirmation shows of many groups."""

    title: str
    button: str
    effects: list[str]
    summary: str
    lines: list[Line]
    more: int
    eligible: list[KeyGroup]
    obstacle: str
    # What has to be typed before it is done; "" for nothing.
    typed: str = ""


def plan_many(operation: Operation, groups: Sequence[KeyGroup], *, left_out: Container[str] = ()) -> ManyPlan:
    """Part the groups into those that can be worked on now and those that can't: four queries, however many.

    ``left_out`` holds the ids (hex) of those that the page left out: they stay so, whatever became of them meanwhile.
    """
    read_situations(groups)
    shown = _("It was left out when this was shown")
    lines = [
        Line(
            group,
            f"{tier_text(group.vault)} / {group.azure_name}",
            why_outside(group) or operation.why_not(group) or (shown if group.pk.hex in left_out else ""),
        )
        for group in groups
    ]
    eligible = [line.group for line in lines if not line.reason]
    count = len(eligible)
    title = str(operation.title % {"count": count or len(groups)})
    return ManyPlan(
        title=title,
        button=title,
        effects=[*map(str, operation.effects), *_effects_of_many()],
        summary=_summary(eligible, left_out=len(groups) - count),
        lines=sorted(lines, key=lambda line: not line.reason)[:GROUPS_LISTED],
        more=max(0, len(lines) - GROUPS_LISTED),
        eligible=eligible,
        obstacle="" if eligible else _("None of the selected key groups can be worked on"),
        typed=ngettext("%(count)d key group", "%(count)d key groups", count) % {"count": count}
        if operation.danger
        else "",
    )


def _effects_of_many() -> list[str]:
    return [
        _("One job opens a job for each key group, some at a time, and shows them together."),
        _(
            "A key group that fails is named with its reason; the others are not held up by it, and it can be retried alone."
        ),
    ]


def _summary(groups: Sequence[KeyGroup], *, left_out: int) -> str:
    vaults = len({group.vault_id for group in groups})
    parts = [
        ngettext("%(count)d key group", "%(count)d key groups", len(groups)) % {"count": len(groups)},
        ngettext("%(count)d vault", "%(count)d vaults", vaults) % {"count": vaults},
    ]
    if left_out:
        parts.append(ngettext("%(count)d left out", "%(count)d left out", left_out) % {"count": left_out})
    return " · ".join(parts)
