"""Builds the home page: what needs attention, the set-up until it was done once, and system health."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from hsm.models import HsmDevice
from kmes.accounts.rights import Right
from kmes.core.separation import SeparationRecord, read_record
from kmes.dashboard import selectors
from kmes.dashboard.attention.facts import collect
from kmes.dashboard.attention.lines import Attention, read_attention
from kmes.dashboard.heartbeats import Heartbeats
from kmes.dashboard.setup.findings import SetupStep
from kmes.dashboard.setup.steps import count_done, is_set_up, read_steps


@dataclass(frozen=True)
class Overview:
    """All that the home page shows at once; the rest follows (``outlook``)."""

    attention: Attention
    # Empty once the set-up was done, and for users who can't do it.
    setup: list[SetupStep]
    setup_done: int
    heartbeats: Heartbeats
    device: HsmDevice | None
    # Whether the processes have users of their own; None where no supervisor started them.
    separation: SeparationRecord | None

    @property
    def digest(self) -> str:
        """Return a digest that changes with what is shown."""
        workers = len(self.heartbeats.workers)
        states = (self.heartbeats.redis_up, workers, self.heartbeats.beat_alive, self.heartbeats.device)
        seen = repr((self.attention.digest, [step.is_done for step in self.setup], states, str(self.device)))
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


def build_overview(heartbeats: Heartbeats, user: Any) -> Overview:
    """Read everything once. At most ten queries after the set-up."""
    device = selectors.find_device()
    facts = collect(heartbeats, device)
    setup = read_steps() if user.has_right(Right.CREDENTIAL_MANAGE) and not is_set_up() else []
    return Overview(
        read_attention(facts, user),
        setup,
        count_done(setup),
        heartbeats,
        device if device and device.is_designated else None,
        read_record(settings.KMES_STATE_DIR),
    )
