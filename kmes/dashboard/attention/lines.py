"""Makes the lines of "What needs attention": facts without an acknowledgement, and what was acknowledged."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmes.dashboard.attention.facts import MOST, Fact
from kmes.dashboard.attention.matters import GRADE_LABELS, MATTERS, Grade, Matter, Text
from kmes.dashboard.models import Acknowledgement


@dataclass(frozen=True)
class Line:
    """One matter that needs attention, as a user sees it."""

    matter: Matter
    facts: Sequence[Fact]
    may_acknowledge: bool

    @property
    def text(self) -> str:
        """Return what is wrong."""
        return self.matter.say(self.facts)

    @property
    def why(self) -> str:
        """Return why, or which objects it is about."""
        return self.matter.why(self.facts)

    @property
    def grade(self) -> Text:
        """Return the severity in words."""
        return GRADE_LABELS[self.matter.grade]

    @property
    def digest(self) -> str:
        """Return a digest of the objects: an acknowledgement covers what its user saw, and nothing else."""
        return digest_of(self.facts)


@dataclass(frozen=True)
class AcknowledgedLine:
    """A matter of which objects were acknowledged and are not over: who, when, why."""

    matter: Matter
    facts: Sequence[Fact]
    newest: Acknowledgement
    may_withdraw: bool

    @property
    def text(self) -> str:
        """Return what is wrong."""
        return self.matter.say(self.facts)

    @property
    def why(self) -> str:
        """Return why, or which objects it is about."""
        return self.matter.why(self.facts)


@dataclass(frozen=True)
class Attention:
    """All that needs attention, the most severe first, and what was acknowledged."""

    lines: list[Line]
    acknowledged: list[AcknowledgedLine]

    @property
    def digest(self) -> str:
        """Return a digest that changes with what is shown."""
        seen = [(line.text, line.why, line.may_acknowledge) for line in self.lines]
        seen += [(line.text, line.newest.reason, line.may_withdraw) for line in self.acknowledged]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def digest_of(facts: Sequence[Fact]) -> str:
    """Return a digest of the objects that facts are about, and how these stand."""
    return hashlib.sha256(repr(sorted((fact.subject, fact.state) for fact in facts)).encode()).hexdigest()[:16]


def open_acknowledgements() -> dict[tuple[str, str], Acknowledgement]:
    """Return the acknowledgements that have not ended, by matter and object. One query."""
    rows = Acknowledgement.objects.filter(ended_at=None).order_by("acknowledged_at")
    return {(row.matter, row.subject): row for row in rows}


def is_covered(fact: Fact, known: dict[tuple[str, str], Acknowledgement]) -> bool:
    """Return whether a fact was acknowledged as it is now."""
    row = known.get((fact.matter, fact.subject))
    return row is not None and row.state == fact.state


def read_attention(facts: Sequence[Fact], user: Any) -> Attention:
    """Return what a user sees of the facts. One query."""
    known, rights = open_acknowledgements(), user.rights
    shown: dict[str, list[Fact]] = defaultdict(list)
    hidden: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        is_hidden = is_covered(fact, known) and MATTERS[fact.matter].can_acknowledge
        (hidden if is_hidden else shown)[fact.matter].append(fact)
    grades = list(Grade)
    visible = [matter for matter in MATTERS.values() if matter.sees in rights]
    visible.sort(key=lambda matter: grades.index(matter.grade))
    return Attention(
        [
            Line(
                matter,
                shown[matter.name],
                matter.can_acknowledge and matter.right in rights and len(shown[matter.name]) <= MOST,
            )
            for matter in visible
            if shown[matter.name]
        ],
        [
            AcknowledgedLine(
                matter,
                hidden[matter.name],
                max(
                    (known[fact.matter, fact.subject] for fact in hidden[matter.name]),
                    key=lambda row: row.acknowledged_at,
                ),
                matter.right in rights,
            )
            for matter in visible
            if hidden[matter.name]
        ],
    )
