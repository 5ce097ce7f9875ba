"""One simulated world whose network damages answers by the dice: what its user does, and what must be true after.

The user, the workers, their crashes and stalls are those of the fault tests; the vault is asked over HTTP.
"""

from __future__ import annotations

import random
from datetime import timedelta

from jobs.journal import kek_sweep
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.create.spec import request_create_keys
from jobs.models import Job, JobMessage, JobTarget
from jobs.schedule import scans
from tests.faults.relay.calls import Call
from tests.faults.relay.damages import Damage, When
from tests.faults.relay.drawing import Dice
from tests.faults.sim_world import ACTIONS, SimWorld, wrong
from tests.faults.simulation import LANDING_SECONDS, READ_TIMEOUT, SCAN

# Of all calls, so many meet damage.
CHANCE = 0.25
# Until everything that passes by itself has passed.
PATIENCE = timedelta(hours=2)
# Between two looks at a world in which nothing happens; each look costs real time.
LONGEST_PAUSE = 8 * SCAN
# In these worlds every secret is right, so Entra refuses none of them.
SIGN_IN_REFUSALS = [f"azure.{kind}" for kind in ("authentication", "wrong_secret", "wrong_client", "wrong_tenant")]
DAMAGED_ACTIONS = (*ACTIONS, "create", "compare", "compare")


class SlowDice(Dice):
    """Dice whose delays reach beyond the client's patience, so that a request may take effect when it is given up."""

    def _late(self, dice: random.Random, _call: Call) -> Damage:
        return Damage(when=dice.choice(tuple(When)), delay=dice.uniform(0, READ_TIMEOUT + LANDING_SECONDS / 2))


class DamagedWorld(SimWorld):
    """A world behind a bad network; ``secrets`` must never be seen in a text."""

    def __init__(self, vault, group, actor, texts, secrets):
        super().__init__(vault, group, actor)
        self.texts, self.secrets, self.began_at = texts, secrets, len(texts.all())
        self.todo = ["push", *(self.dice.choice(DAMAGED_ACTIONS) for _ in range(self.dice.randint(1, 7)))]

    def _settle(self):
        self.vault.quiet = True
        self.vault.sleep(LANDING_SECONDS + READ_TIMEOUT + SCAN.total_seconds())
        end, pause = self.vault.now + PATIENCE, SCAN
        while self.vault.now < end:
            # A rotation that is due still is asked for again.
            found = [*scans.scan_leftovers(), *scans.scan_rotations(), *self._found()]
            self.work(found)
            if not self._open().exists():
                break
            pause = SCAN if found else min(2 * pause, LONGEST_PAUSE)
            self.vault.sleep(pause.total_seconds())
        # A KEK whose purge an intermediary only pretended is found by one sweep and purged by the next.
        for _hour in range(3):
            if kek_sweep.sweep() == 0:
                break
            self.vault.sleep(3600)

    def _create(self):
        return request_create_keys(group=self.group, names=[f"made-{self.dice.getrandbits(40):x}"], actor=self.actor)

    def _compare(self):
        return request_check_drift(group=self.group, actor=self.actor)


def broken(world):
    """Yield what is not as it must be, in words."""
    yield from wrong(world)
    mine = Job.objects.filter(group=world.group)
    for job in mine.filter(state="failed", error_what=""):
        yield f"{job.kind} failed without a word"
    for job in mine.filter(error_what__contains="unexpected error"):
        yield f"{job.kind} met an unexpected error"
    for job in mine.filter(state="failed", error_code__in=SIGN_IN_REFUSALS):
        yield f"{job.kind} ended for good over a sign-in that failed for a moment"
    for target in JobTarget.objects.filter(job__group=world.group, state="pending", job__state="failed"):
        yield f"{target} stays pending in a failed job"
    group = world.group
    group.refresh_from_db()
    if (group.cloud_state == "live") != (group.azure_name in world.vault.keys):
        yield f"the group is {group.cloud_state} here, in the vault it is not"
    if group.cloud_state != "soft_deleted" and group.rotation_slots.filter(state="failed").exists():
        yield "a rotation that fell due was given up"
    said = "\n".join(JobMessage.objects.filter(job__group=world.group).values_list("text", flat=True))
    text = world.texts.all()[world.began_at :] + said
    for secret in world.secrets():
        if any(secret[start : start + 24] in text for start in range(0, len(secret) - 23, 8)):
            yield f"a secret stands in a text: {secret[:12]}…"
    if "Traceback" in text:
        yield "a traceback stands in the worker's log"
