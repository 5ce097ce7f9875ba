"""Lives through worlds by seed, one after the other, and tells which broke. Environment: SEED, WORLDS, FAULTS."""

from __future__ import annotations

import os
import time
from collections import Counter

from tests.faults.relay.calls import Part
from tests.faults.relay.rules import Rule

ALL = os.environ.get("FAULTS") == "all"
# One seed by itself is in one part; parts run side by side.
ONE_PART = "SEED" in os.environ
FIRST_SEED = int(os.environ.get("SEED", "1"))


def worlds_in_a_part(usual):
    """Return how many worlds each part lives through: as the environment says, else ``usual``."""
    return int(os.environ.get("WORLDS", usual))


def add_damage(rules, dice, chance):
    """Let the dice damage answers; those of sign-in less often, for each vault call that follows depends on them."""
    for part in Part:
        is_sign_in = part in {Part.TOKEN, Part.DISCOVERY}
        rules.add(Rule(dice, part=part, count=None, chance=chance / 5 if is_sign_in else chance, probes=True))


def run_all(part, count, live, tell):
    """Live through a part of the seeds and fail with all that broke."""
    found_all, done, damages = {}, Counter(), 0
    began = time.monotonic()
    for seed in range(FIRST_SEED + part * count, FIRST_SEED + (part + 1) * count):
        world, found = live(seed)
        done.update(world.done)
        damages += world.damage_count()
        if found:
            found_all[seed] = found
            print(f"SEED={seed} {world.done}: {found}")
            if count == 1:
                print("\n".join(tell(world)))
    seconds = time.monotonic() - began
    print(f"\n{count} worlds in {seconds:.0f} s, {damages} damaged answers, users did {dict(done)}")
    print(f"{len(found_all)} broken: {sorted(found_all)}")
    assert damages, "the network is too kind to show anything"
    assert found_all == {}, f"run again with SEED={next(iter(found_all))} WORLDS=1"
