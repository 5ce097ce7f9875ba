"""One simulated world: what its user does, how its workers go on, crash and stand still, and what must be true.

Workers take turns in one thread: at any named moment the running one may crash, or stand still while
time passes and another one works on whatever is due, up to the same job when its lease has run out.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from jobs import services
from jobs.choices import FINAL_STATES
from jobs.engine import execution
from jobs.journal import kek_sweep
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from jobs.models import Intent, Job, JobMessage, JobTarget
from jobs.schedule import scans
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import CloudVersion, Key, KeyGroup, RotationSlot
from kmes.core.errors import KmesError
from tests.faults.simulation import (
    ACT,
    CRASH,
    DOUBLE,
    LANDING_SECONDS,
    LIMIT,
    LOSS,
    READ_TIMEOUT,
    SCAN,
    STALL,
    Crash,
    make_spki,
)

STALL_SECONDS = 400
ACTIONS = ("push", "push", "rotate", "due", "switch", "switch", "delete", "recover", "purge", "destroy", "cancel")


class SimWorld:
    """A vault, a group, its user and its workers."""

    def __init__(self, vault, group, actor):
        self.vault, self.group, self.actor, self.dice = vault, group, actor, vault.dice
        self.fresh, self.depth, self.done = [], 0, []
        vault.moment = self.moment
        for number in range(self.dice.randint(1, 4)):
            self._make_key(f"key-{number}")
        self.todo = ["push", *(self.dice.choice(ACTIONS) for _ in range(self.dice.randint(0, 6)))]

    def _make_key(self, name):
        spki = make_spki(self.dice)
        Key.objects.create(
            group=self.group,
            name=name,
            key_spec="P-256",
            public_spki=spki,
            wrapped_private=b"sim",
            thumbprint=hashlib.sha256(spki).hexdigest(),
        )

    # --- accidents -----------------------------------------------------------------------------
    def moment(self, name):
        """Let the worker that reached a moment crash, or stand still while the others go on."""
        if self.vault.quiet:
            return
        if self.dice.random() < CRASH:
            self.vault.tell(f"a worker crashes at {name}")
            raise Crash
        if self.todo and self.dice.random() < ACT:
            self.act()
        if self.depth == 0 and self.dice.random() < STALL:
            self.depth += 1
            self.vault.tell(f"a worker stands still at {name}")
            try:
                # Some stand still just long enough for an announcement to grow old, some for ever.
                self.vault.sleep(self.dice.choice([5, 20, 70, 140, STALL_SECONDS]) * self.dice.random())
                for _round in range(self.dice.randint(1, 3)):
                    self.work(self._found())
                    self.vault.sleep(self.dice.uniform(0, STALL_SECONDS))
            finally:
                self.vault.tell("it goes on")
                self.depth -= 1

    # --- the user ------------------------------------------------------------------------------
    def act(self):
        """Do the next thing the user wants; what is refused is refused."""
        action = self.todo.pop(0)
        self.vault.tell(f"the user wants: {action}")
        self.group.refresh_from_db()
        if self.group.cloud_state == "soft_deleted" and self.dice.random() < 0.7:
            action = self.dice.choice(["recover", "purge"])
        try:
            job = getattr(self, f"_{action}")()
        except KmesError:
            return
        self.done.append(action)
        if job is not None:
            self.fresh.append(job.pk)

    def _push(self):

        keys = keys_to_synchronize(self.group)
        chosen = self.dice.sample(keys, self.dice.randint(1, len(keys))) if keys else []
        return request_synchronize(keys=chosen, actor=self.actor)

    def _rotate(self):

        return request_rotation(group=self.group, actor=self.actor)

    def _due(self):
        KeyGroup.objects.exclude(pk=self.group.pk).update(rotate=False, next_due_at=None)
        KeyGroup.objects.filter(pk=self.group.pk).update(rotate=True, next_due_at=self.vault.now)
        made = scans.scan_rotations() + scans.scan_rotations()
        assert len(made) <= 1, "two beats made two rotations"
        return Job.objects.get(pk=made[0]) if made else None

    def _switch(self):
        versions = list(self.group.cloud_versions.filter(state__in=LIVE_VERSION_STATES).order_by("azure_version"))
        if not versions:
            return None
        version = self.dice.choice(versions)
        return request_set_enabled(version=version, enabled=not version.enabled, actor=self.actor)

    def _delete(self):

        return request_cloud_delete(group=self.group, actor=self.actor)

    def _recover(self):

        return request_cloud_recover(group=self.group, actor=self.actor)

    def _purge(self):

        return request_cloud_purge(group=self.group, actor=self.actor)

    def _destroy(self):

        keys = list(self.group.keys.filter(state="present").order_by("name"))
        return request_destroy(keys=[self.dice.choice(keys)], actor=self.actor) if keys else None

    def _cancel(self):
        jobs = list(self._open().order_by("created_at", "code"))
        if jobs:
            services.request_cancel(job=self.dice.choice(jobs), actor=self.actor)

    # --- the workers ---------------------------------------------------------------------------
    def _found(self):
        """What the scan finds to do, in this world."""
        mine = set(Job.objects.filter(group=self.group).values_list("pk", flat=True))
        return [pk for pk in scans.find_claimable() if pk in mine]

    def _open(self):
        return Job.objects.filter(group=self.group).exclude(state__in=FINAL_STATES)

    def work(self, ids):
        """Deliver the messages about these jobs: none, one or two of each."""
        for pk in ids:
            for _delivery in range(0 if self.dice.random() < LOSS else 2 if self.dice.random() < DOUBLE else 1):
                self.vault.tell(f"a worker gets job {str(pk)[-6:]}")
                try:
                    execution.execute(pk, owner=f"worker-{self.dice.random()}")
                except Crash:
                    continue

    def live(self):
        """Let the user and the workers go on until all is done, then until nothing is left in doubt."""
        end = self.vault.now + LIMIT
        while self.vault.now < end and (self.todo or self._open().exists()):
            if self.todo and self.dice.random() < 0.2:
                self.act()
            ids, self.fresh = [*self.fresh, *self._found()], []
            self.work(ids)
            self.vault.sleep(SCAN.total_seconds())
        self._settle()

    def _settle(self):
        self.vault.quiet = True
        self.vault.sleep(LANDING_SECONDS + READ_TIMEOUT + SCAN.total_seconds())
        for _round in range(40):
            self.work(scans.scan_leftovers())
            if not self._open().exists():
                break
            self.vault.sleep(SCAN.total_seconds())
            self.work(self._found())
        kek_sweep.sweep()


def told(world):
    """Yield what the jobs say of themselves, for whoever looks into a world that broke."""
    for message in JobMessage.objects.filter(job__group=world.group).select_related("job").order_by("at"):
        yield f"{message.at:%H:%M:%S} {message.job} ({message.job.kind}, {message.job.state}): {message.text}"
    for intent in Intent.objects.filter(job__group=world.group):
        yield f"{intent.sent_at:%H:%M:%S} {intent.operation} {intent.state} {str(intent.key_id)[-6:]} {intent.azure_lock}"


def wrong(world):
    """Yield what is not as it must be, in words."""
    vault, name = world.vault, world.group.azure_name
    live, deleted = vault.keys.get(name, []), vault.deleted.get(name, [])
    ours = {bytes(key.public_spki): key for key in Key.objects.filter(group=world.group)}
    for spki, count in Counter(version.spki for version in [*live, *deleted]).items():
        if count > 1:
            yield f"{count} versions of {ours[spki].name}"
    for job in world._open():
        yield f"{job.kind} is not over after four hours: {job.state} {job.waiting_for}"
    rows = {row.azure_version: row for row in CloudVersion.objects.filter(group=world.group)}
    yield from _live_as_known(world, live, rows, ours)
    yield from _nothing_in_doubt(world)
    for kek in [*vault.keys, *vault.deleted]:
        if kek.startswith("kmes-kek-"):
            yield f"{kek} is left"


def _live_as_known(world, live, rows, ours):
    for version in live:
        row = rows.get(version.id)
        if row is None or row.state not in LIVE_VERSION_STATES:
            yield f"a version of {ours[version.spki].name} is in the vault, here it is {row and row.state}"
        elif row.enabled != version.enabled:
            yield f"{row.key.name} is enabled={version.enabled} in the vault and {row.enabled} here"
    there = {version.id for version in live}
    for row in rows.values():
        if row.state in LIVE_VERSION_STATES and row.azure_version not in there:
            yield f"{row.key.name} is {row.state} here and not in the vault"
        if row.state == "pushing":
            yield f"{row.key.name} is on its way for ever"
        if row.state == "active" and live and row.azure_version != live[-1].id:
            yield f"{row.key.name} is the active one here and not the newest in the vault"


def _nothing_in_doubt(world):
    for intent in Intent.objects.filter(job__group=world.group, state__in=["pending", "unknown"]):
        yield f"the {intent.operation} of {intent.job} is {intent.state} for ever"
    for slot in RotationSlot.objects.filter(group=world.group):
        if slot.job_id is None and slot.state not in {"missed", "refused"}:
            yield "a rotation that fell due has no job"
    for job in Job.objects.filter(group=world.group, state__in=["succeeded", "warned"]):
        if JobTarget.objects.filter(job=job).exclude(state="done").exists():
            yield f"{job.kind} succeeded with keys that are not done"
