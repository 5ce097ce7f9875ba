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
class SecondAdministrator:
    """Who signed in besides the user of a session (docs/dual-login.md)."""

    name: str
    user_id: int


@dataclass(frozen=True)
class Actor:
    """Who acts, frozen at that moment, because the log outlives the account.

    ``user_id`` is None for the schedule and the system. Rows of the log name the second administrator as well.
    """

    name: str
    trigger: Trigger
    user_id: int | None = None
    second: SecondAdministrator | None = None

    @classmethod
    def from_user(cls, user: object) -> Actor:
        """Build the actor for a signed-in Django user."""
        name, user_id = user.get_username(), user.pk  # type: ignore[attr-defined]
        return cls(name, Trigger.USER, user_id, getattr(user, "second_administrator", None))


SCHEDULE = Actor("schedule", Trigger.SCHEDULE)
SYSTEM = Actor("system", Trigger.SYSTEM)
