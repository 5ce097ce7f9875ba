"""Worlds by the dice, with the real stand-in, TLS and the relay, which damages any answer.

One world again:

SEED=3 WORLDS=1 .venv/bin/python -m pytest -n 0 -s tests/damaged_answers/test_relay_worlds.py
"""

from __future__ import annotations

import pytest

from tests.damaged_answers.many_worlds import ONE_PART, add_damage, run_all, worlds_in_a_part
from tests.damaged_answers.relayed_world import live_through
from tests.faults.relay.drawing import Dice

PARTS = 1 if ONE_PART else 2
WORLDS = worlds_in_a_part(10)
# These worlds are short.
CHANCE = 0.35
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1500)]


@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"damaged answers / relay / part {part + 1}")
def test_no_damaged_answer_doubles_loses_or_hides_anything_through_the_relay(part, world, pages, short_waits):
    def live(seed):
        world.relay.restart(seed)
        add_damage(world.relay.desk.rules, Dice(slow=0.2, hangs=False), CHANCE)
        return live_through(world, seed, pages)

    run_all(part, WORLDS, live, lambda done: done.story())
