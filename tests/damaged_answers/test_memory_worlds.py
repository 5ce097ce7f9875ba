"""Worlds by the dice behind a network that damages any answer: afterwards vault and console agree, and nothing doubled.

They live in memory: the product's own gateway, SDK and classification over connections in memory, with simulated time.
One world again:

    SEED=17 WORLDS=1 .venv/bin/python -m pytest -n 0 -s tests/damaged_answers/test_memory_worlds.py
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import azure.core.pipeline.transport as sdk_transport
import pytest
from django.db import connection
from django.utils import timezone
from urllib3.connection import HTTPSConnection

from cloudcreds import access
from cloudcreds.azure import errors, transport
from cloudcreds.azure.clients import forget_clients
from cloudcreds.models import KeyVault
from cloudcreds.provider import call_watch
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from hsm import destination_marks
from jobs.choices import FINAL_STATES
from jobs.engine import hints
from jobs.engine import run as engine_run
from jobs.models import EphemeralKek, Intent, Job, ScheduleClock
from keygroups.models import KeyGroup
from kmes.core import clock
from kmes.core.secret_types import SecretText
from tests.damaged_answers.damaged_world import CHANCE, DamagedWorld, SlowDice, broken
from tests.damaged_answers.many_worlds import ALL, ONE_PART, add_damage, run_all, worlds_in_a_part
from tests.damaged_answers.wire import FakeSocket, Wire
from tests.damaged_answers.wire_vault import WireVault
from tests.faults.relay.rules import RuleList
from tests.faults.sim_world import told
from tests.faults.simulation import SimDevice, SimVault
from tests.jobs.builders import make_credential, make_group

PARTS = 1 if ONE_PART else 10 if ALL else 4
WORLDS = worlds_in_a_part(98 if ALL else 50)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SECRET = "the-client-secret-of-all-these-worlds"
ORIGIN = "https://127.0.0.1:9443"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1500)]


def forget_former_worlds():
    """Let nothing of a world before be found by the scans of this one, so that a seed gives the same world alone."""
    EphemeralKek.objects.update(state="gone", created_at=LONG_AGO)
    Intent.objects.filter(state__in=["pending", "unknown"]).update(state="void")
    Job.objects.exclude(state__in=FINAL_STATES).update(state="failed")
    KeyGroup.objects.update(rotate=False, next_due_at=None)
    KeyVault.objects.update(tier="unknown", recovery_level="", recoverable_days=None, recent_changes=[], seen_at=None)
    ScheduleClock.objects.all().delete()


class SecretDevice(SimDevice):
    """A device that opens every seal to the same secret."""

    def open_secret(self, _destination, _sealed, *, holder):
        """Open a seal."""
        return SecretText(SECRET)


@pytest.fixture
def in_memory(device, admin, monkeypatch, settings, texts):
    """Live through the world of a seed, with network, vault, device, clock and pauses in memory."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA journal_mode=MEMORY")
    texts.setLevel("INFO")
    # No certificate is looked at here, and the stand-in that has one does not run.
    settings.KMES_CUSTOM_CA_FILE = ""
    monkeypatch.setattr(hints, "send", lambda _job_id: None)
    credential = make_credential(ORIGIN, actor=admin)
    here, worlds = {}, []
    real_sleep, main = time.sleep, threading.main_thread()

    def sleep(seconds):
        if threading.current_thread() is main and worlds:
            here["vault"].sleep(min(seconds, 1e7))
        else:
            real_sleep(seconds)

    def connect(connection):
        connection.sock, connection.is_verified = FakeSocket(here["wire"]), True

    # The thread that gives waiting calls up looks by real time; here a wait is as long as the socket's time-out.
    watcher = SimpleNamespace(add=lambda _watch: None, remove=lambda _watch: None)
    monkeypatch.setattr(call_watch, "_watcher", watcher)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(sdk_transport.RequestsTransport, "sleep", lambda _self, seconds: sleep(seconds))
    monkeypatch.setattr(HTTPSConnection, "connect", connect)

    def run(seed, chance=CHANCE):
        forget_clients()
        forget_former_worlds()
        # The product's jitter.
        random.seed(seed)
        vault = here["vault"] = SimVault(random.Random(seed))
        service, rules = WireVault(vault, ORIGIN), RuleList(seed)
        add_damage(rules, SlowDice(), chance)
        wire = here["wire"] = Wire(vault, service, rules)
        sim_device = SecretDevice(vault)
        monkeypatch.setattr(timezone, "now", lambda: vault.now)
        monkeypatch.setattr(clock, "uptime", lambda: clock.Uptime("one life", vault.now.timestamp()))
        for module in (engine_run, access, destination_marks):
            monkeypatch.setattr(module, "get_device", lambda: sim_device)
        group = make_group(credential, ORIGIN, name=f"world-{seed}")
        world = DamagedWorld(vault, group, admin, texts, lambda: [*service.tokens, SECRET])
        world.wire = wire
        worlds.append(world)
        world.live()
        return worlds.pop()

    settings.KMES_FAILPOINTS = lambda moment: worlds and worlds[-1].moment(moment)
    return run


def test_without_damage_the_network_in_memory_serves_every_operation(in_memory):
    """Else a world in which nothing works looks like one in which nothing breaks."""
    done, states = Counter(), Counter()
    for seed in range(12):
        world = in_memory(seed, chance=0)
        done.update(world.done)
        states.update(world.group.jobs.values_list("state", flat=True))
        assert list(broken(world)) == [], f"SEED={seed}"
        assert not world.group.jobs.filter(kind="check_drift").exclude(state="succeeded").exists(), f"SEED={seed}"
    assert set(done) >= {"push", "rotate", "due", "switch", "delete", "create", "compare"}
    assert states["succeeded"] > states["failed"] + states["partly_failed"]


@pytest.mark.parametrize(
    ("name", "defect", "seeds"),
    [
        ("judge", lambda *_answer: None, (35, 38)),
        ("_read", lambda response: response.raw.read(40, decode_content=True), (3, 5)),
    ],
    ids=["any answer is believed", "a cut answer is whole"],
)
def test_the_worlds_catch_a_defect(name, defect, seeds, in_memory, monkeypatch):
    """Both are put in by the test alone; the seeds are of worlds that meet them."""
    monkeypatch.setattr(transport, name, defect)
    found = [sentence for seed in seeds for sentence in broken(in_memory(seed))]
    assert [sentence for sentence in found if "traceback" not in sentence]


def test_the_worlds_catch_a_sign_in_failure_that_is_final(in_memory, monkeypatch):
    told = errors._without_answer

    def as_refusal(error, **more):
        failure = told(error, **more)
        is_sign_in = failure.kind == CloudErrorKind.SIGN_IN_UNAVAILABLE
        return CloudError(CloudErrorKind.AUTHENTICATION, failure.what) if is_sign_in else failure

    monkeypatch.setattr(errors, "_without_answer", as_refusal)
    # A refusal at sign-in is asked about once more, so it takes two damaged answers on end: rare with the usual dice.
    found = (sentence for seed in range(1, 40) for sentence in broken(in_memory(seed, chance=0.7)))
    assert any("over a sign-in" in sentence for sentence in found)


@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"damaged answers / worlds in memory / part {part + 1}")
def test_no_damaged_answer_doubles_loses_or_hides_anything_in_memory(part, in_memory):
    def live(seed):
        world = in_memory(seed)
        world.damage_count = lambda: world.wire.damages
        return world, list(broken(world))

    run_all(part, WORLDS, live, lambda world: [*world.vault.story, *told(world)])
