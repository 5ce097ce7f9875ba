"""One real world by a seed: stand-in, TLS and relay, a user who does some things while answers are damaged, then calm."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from django.urls import reverse

from jobs.choices import FINAL_STATES
from jobs.journal import kek_sweep
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from jobs.models import Intent, Job
from jobs.schedule import scans
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.errors import KmesError
from tests.damaged_answers.harness import text_of, turn
from tests.damaged_answers.test_what_libraries_say import tokens
from tests.faults.invariants import thumbprint
from tests.jobs.builders import make_group
from tests.jobs.conftest import SECRET

ACTIONS = ("create", "push", "push", "rotate", "switch", "delete", "recover", "purge", "compare")
TURNS_UNDER_DAMAGE = 2
TURNS_TO_REST = 60


@dataclass
class Lived:
    """What was done in a world, for the report."""

    world: object
    group: object
    done: list = field(default_factory=list)

    def damage_count(self):
        """How many answers were damaged."""
        return sum(bool(seen.damage) for seen in self.world.relay.seen)

    def story(self):
        """Yield what the relay saw and what the jobs say."""
        for seen in self.world.relay.seen:
            yield f"{seen.at:.2f} {seen.call.method} {seen.call.path} -> {seen.sent_status} {seen.damage}"
        for job in self.group.jobs.order_by("created_at"):
            yield f"{job} {job.kind} {job.state}\n{self.world.words(job)}"


def live_through(world, seed, pages):
    """Live through one world; return what was done, and what is broken in words."""
    dice = random.Random(seed)
    group = make_group(world.group.credential, world.group.vault.url, name=f"world-{seed}-{dice.getrandbits(32):x}")
    lived, said_before = Lived(world, group), len(world.texts.all())
    for action in ["create", "push", *(dice.choice(ACTIONS) for _ in range(dice.randint(2, 6)))]:
        group = KeyGroup.objects.get(pk=group.pk)
        try:
            job = _ask(action, group, world.actor, dice)
        except KmesError:
            continue
        lived.done.append(action)
        if job is not None and dice.random() < 0.3:
            world.sign_out()
        for _turn in range(TURNS_UNDER_DAMAGE):
            turn(world)
    world.relay.calm()
    _rest(world)
    return lived, list(_broken(world, group, said_before, pages))


def _ask(action, group, actor, dice):
    if action == "create":
        return request_create_keys(group=group, names=[f"key-{dice.getrandbits(32):x}"], actor=actor)
    if action == "push":
        return request_synchronize(keys=keys_to_synchronize(group), actor=actor)
    if action == "switch":
        versions = list(group.cloud_versions.filter(state__in=["active", "superseded", "disabled"]).order_by("ordinal"))
        version = dice.choice(versions) if versions else None
        return request_set_enabled(version=version, enabled=not version.enabled, actor=actor) if version else None
    request = {
        "rotate": request_rotation,
        "delete": request_cloud_delete,
        "recover": request_cloud_recover,
        "purge": request_cloud_purge,
        "compare": request_check_drift,
    }[action]
    return request(group=group, actor=actor)


def _rest(world):
    """Let beat and workers go on until every job has ended, nothing is in doubt and no KEK is left."""
    for _round in range(TURNS_TO_REST):
        turn(world)
        for job_id in scans.scan_leftovers():
            world.work(Job.objects.get(pk=job_id))
        in_doubt = Intent.objects.filter(state__in=["pending", "unknown"]).exists()
        if not in_doubt and not Job.objects.exclude(state__in=FINAL_STATES).exists():
            break
        time.sleep(0.2)
    kek_sweep.sweep()
    kek_sweep.sweep()


def _there(world, group):
    client, found = world.vault.client, {}
    for item in client.list_properties_of_key_versions(group.azure_name):
        found[item.version] = (thumbprint(client.get_key(group.azure_name, item.version).key), bool(item.enabled))
    return found


def _broken(world, group, said_before, pages):
    group = KeyGroup.objects.get(pk=group.pk)
    yield from _vault_and_rows(world, group)
    yield from _jobs(group)
    yield from (f"{name} is left in the vault" for name in world.vault.keks())
    yield from _secrets(world, said_before)
    shown = text_of(pages.get(reverse("keygroups:keys"), {"group": str(group.pk)}))
    if group.get_cloud_state_display() not in shown:
        yield "the group's page does not show its state"


def _vault_and_rows(world, group):
    there = _there(world, group)
    for print_, count in Counter(print_ for print_, _on in there.values()).items():
        if count > 1:
            yield f"key {Key.objects.get(thumbprint=print_).name} stands {count} times in the vault"
    live = CloudVersion.objects.filter(group=group, state__in=["active", "superseded", "disabled"])
    known = {row.azure_version: (row.key.thumbprint, row.enabled) for row in live.select_related("key")}
    for version in there.keys() | known.keys():
        if known.get(version) != there.get(version):
            yield f"version {version} is {there.get(version)} in the vault and {known.get(version)} here"
    if (group.cloud_state == "live") != bool(there):
        yield f"the group is {group.cloud_state} here, the vault has {len(there)} versions"
    if group.cloud_state == "purged" and world.vault.is_deleted(group.azure_name):
        yield "the group is purged here, and the vault still has it"


def _jobs(group):
    for job in Job.objects.filter(group=group):
        if job.state not in FINAL_STATES and not job.waiting_for:
            yield f"{job.kind} neither ended nor waits with words"
        if job.state == "failed" and not job.error_what:
            yield f"{job.kind} failed without a word"
        if "unexpected error" in job.error_what:
            yield f"{job.kind} met an unexpected error"
    for intent in Intent.objects.filter(job__group=group, state__in=["pending", "unknown"]):
        yield f"the {intent.operation} is {intent.state} for ever"


def _secrets(world, said_before):
    text = world.texts.all()[said_before:]
    for secret in [SECRET, *tokens(world)]:
        if any(secret[start : start + 40] in text for start in range(0, max(1, len(secret) - 39), 40)):
            yield "a secret or a token stands in a log"
            return
