"""Who does something: a signed-in user, the schedule, or the system itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """What set an action off."""

    USER = "user"
    SCHEDULE = "schedule"
    SYSTEM = "system"
    API = "api"


# What people set off, on a page or by a program of theirs.
PEOPLE = (Trigger.USER, Trigger.API)


@dataclass(frozen=True)
class Actor:
    """Who acts, frozen at that moment, because the log outlives the account.

    ``user_id`` is None for the schedule and the system.
    """

    name: str
    trigger: Trigger
    user_id: int | None = None

    @classmethod
    def from_user(cls, user: object) -> Actor:
        """Build the actor for a signed-in Django user."""
        return cls(name=user.get_username(), trigger=Trigger.USER, user_id=user.pk)  # type: ignore[attr-defined]


SCHEDULE = Actor("schedule", Trigger.SCHEDULE)
SYSTEM = Actor("system", Trigger.SYSTEM)
