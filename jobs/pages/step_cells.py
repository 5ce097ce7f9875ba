"""One step of one key or group in a job's table. Data only; who makes it knows the states."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One step of one row: its state in a word, and the icon for it; "" for a step that has not begun."""

    step: str
    state: str = ""
    colour: str = ""

    @property
    def icon(self) -> str:
        """Return the icon for the state."""
        return f"state-{self.colour}"
