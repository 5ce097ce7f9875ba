"""Waits are ours: never shorter than our own back-off, capped, said, and over within two seconds of a cancel."""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.test_connection.spec import request_connection_test
from keygroups.models import Key
from tests.damaged_answers.harness import IN_EXAMPLES, KEY, VERSIONS, InBackground, made_versions_agree
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, Ending, edited, envelope
from tests.faults.relay.rules import Rule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
# Until a person notices that nothing happens.
CANCEL_SECONDS = 2.0
LEAST_PAUSE = 0.5


@pytest.fixture
def world(world):
    """With the product's real pauses."""
    world.patch.undo()
    return world


def throttled(retry_after):
    return envelope(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        headers={"Retry-After": retry_after} if retry_after is not None else {},
    )


@pytest.mark.parametrize("retry_after", ["0", "-1", "0.0", "1e-9", "nan", "-inf", None, "", "soon"])
def test_throttling_without_end_is_paced_said_and_cancelled(world, retry_after):
    (key,) = world.make_keys("one")
    world.damage(throttled(retry_after), "PUT", KEY, count=None)
    job = world.push(key)
    with InBackground(world, job) as running:
        time.sleep(4)
        tries = world.relay.calls("PUT", KEY)
        assert 1 <= len(tries) <= 6, f"{len(tries)} imports in four seconds"
        assert any(word in world.words(job).lower() for word in ("throttl", "too many requests"))
        job.refresh_from_db()
        if job.state in {"queued", "running"}:
            running.cancel()
        assert running.is_back_within(CANCEL_SECONDS)


@pytest.mark.parametrize("retry_after", ["400", "1000000000"])
@pytest.mark.parametrize("call", [("PUT", KEY), ("GET", VERSIONS)], ids=["import", "reading"])
def test_a_long_wait_gives_the_worker_back(world, retry_after, call):
    (key,) = world.make_keys("one")
    world.damage(throttled(retry_after), *call, count=None)
    job = world.push(key)
    with InBackground(world, job) as running:
        assert running.is_back_within(15), "the worker waits"
        job.refresh_from_db()
        assert job.state == "queued"
        assert "throttl" in job.waiting_for.lower() or "too many requests" in job.waiting_for.lower()


def test_a_wait_for_a_reading_is_cancelled(world):
    (key,) = world.make_keys("one")
    world.damage(throttled("30"), "GET", VERSIONS, count=None)
    job = world.push(key)
    with InBackground(world, job) as running:
        time.sleep(1)
        running.cancel()
        end = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < end and job.state != "cancelled":
            time.sleep(0.1)
            job.refresh_from_db()
        assert job.state == "cancelled"


def test_the_sdk_repeats_no_reading_by_itself(world):
    (key,) = world.make_keys("one")
    world.damage(throttled("1"), "GET", VERSIONS, count=2)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    refused = [row for row in world.log_texts() if "throttl" in row.lower()]
    assert len(refused) == 2, "a throttled reading that nobody was told of"


@pytest.mark.parametrize("seconds", [3, -3600])
def test_a_date_to_retry_after_is_honoured(world, seconds):
    (key,) = world.make_keys("one")
    # The relay's answers carry the service's own Date, which is this machine's.
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    world.damage(throttled(at), "PUT", KEY)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    first, second = world.relay.calls("PUT", KEY)
    assert second.at - first.at >= (seconds - 1.5 if seconds > 0 else LEAST_PAUSE)
    made_versions_agree(world)


@IN_EXAMPLES
@given(retry_after=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
@example(retry_after="0x10")
@example(retry_after="1,5")
@example(retry_after="Wed, 21 Oct 2015 07:28:00 GMT")
@example(retry_after="Wed, 99 Xyz 2015")
@example(retry_after="  2  ")
def test_any_retry_after_is_survived_and_paced(world, retry_after):
    keys = world.make_keys(f"key-{Key.objects.count()}")
    before = len(world.relay.calls("PUT", KEY))
    world.damage(throttled(retry_after), "PUT", KEY)
    job = world.push(*keys)
    with InBackground(world, job) as running:
        assert running.is_back_within(75)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    first, second = world.relay.calls("PUT", KEY)[before:]
    assert second.at - first.at >= LEAST_PAUSE


# --- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", ["hang", "hang in the head", "hang in the body", "drip"])
def test_a_silent_or_dripping_vault_is_left_within_two_seconds_of_a_cancel(world, silent):
    damage = {
        "hang": Damage(hang=True),
        "hang in the head": Damage(cut_head=10, ending=Ending.HANG),
        "hang in the body": Damage(cut=10, ending=Ending.HANG),
        "drip": Damage(drip_seconds=1, drip_bytes=1),
    }[silent]
    (key,) = world.make_keys("one")
    world.damage(damage, "GET", VERSIONS, count=None)
    job = world.push(key)
    with InBackground(world, job) as running:
        time.sleep(1)
        running.cancel()
        assert running.is_back_within(CANCEL_SECONDS)


def test_a_dripping_answer_is_given_up_at_a_deadline(world):
    (key,) = world.make_keys("one")
    world.damage(Damage(drip_seconds=1, drip_bytes=1), "GET", VERSIONS, count=None)
    with InBackground(world, world.push(key)) as running:
        assert running.is_back_within(61)


def test_an_endless_listing_ends_and_is_cancelled(world):
    world.push_one()
    link = world.group.vault.url + VERSIONS + "?api-version=7.6&$skiptoken=again"
    world.damage(edited(lambda _call, value: {**value, "nextLink": link}), "GET", VERSIONS, count=None)
    job = request_check_drift(group=world.group, actor=world.actor)
    with InBackground(world, job) as running:
        if not running.is_back_within(10):
            running.cancel()
            assert running.is_back_within(CANCEL_SECONDS), "neither a cap on pages nor a cancel ends it"
    assert len(world.relay.calls("GET", VERSIONS)) < 1000
    assert world.states() == {"first": "active"}


def bomb():
    """150 KB that unpack to 150 MB."""
    packing = zlib.compressobj(9, wbits=31)
    return b"".join([packing.compress(b" " * 1_000_000) for _ in range(150)]) + packing.flush()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_huge_body_is_not_read(world, packed):
    (key,) = world.make_keys("one")
    plain = Damage(pad=150_000_000)
    damage = Damage(body=bomb(), content_type=JSON_TYPE, headers={"Content-Encoding": "gzip"}) if packed else plain
    world.damage(damage, "GET", VERSIONS)
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_megabytes()
    job = world.push(key)
    world.work(job)
    assert _peak_megabytes() - before < 60
    (first, *_others) = world.relay.calls("GET", VERSIONS)
    assert first.sent_bytes < 32_000_000


def _peak_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# --- clocks and calendars -----------------------------------------------------------------------
HOUR = 3600


def dated(date):
    """The service's own answer with another Date, as a cache or proxy with a clock of its own sends it."""
    return Damage(headers={"Date": date})


def clock_words(world, job):
    return [line for line in world.words(job).splitlines() if "clock" in line.lower()]


@pytest.mark.parametrize("whose", ["console", "vault"])
def test_a_clock_hours_behind_is_named_by_how_much_and_nothing_is_wrapped(world, whose):
    (key,) = world.make_keys("one")
    if whose == "console":
        world.set_clock(-3)
    else:
        world.set_clock_of_vault(3)
    job = world.push(key)
    world.work(job)
    assert (job.state, job.error_code) == ("failed", "azure.clock_differs")
    assert "This machine's clock is 3 h behind the vault's." in world.words(job)
    assert "Azure properties" not in world.words(job)
    assert not job.intents.exists()
    assert world.there() == {}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_connection_test_names_it_whichever_clock_is_wrong(world, credential, hours):
    world.set_clock(hours)
    job = request_connection_test(credential=credential, vault=world.group.vault, actor=world.actor)
    world.work(job)
    credential.refresh_from_db()
    assert [each["name"] for each in credential.last_test if each["ok"] is False] == ["Clock"]
    assert f"3 h {'behind' if hours < 0 else 'ahead of'}" in world.words(job)


STRAY_DATES = ["Thu, 26 Nov 2026 08:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 99 Xyz 2015", "soon", None]


@pytest.mark.parametrize("date", STRAY_DATES)
@pytest.mark.parametrize("count", [1, None], ids=["once", "always"])
def test_a_stray_date_header_leads_no_push_and_no_test_astray(world, credential, date, count):
    (key,) = world.make_keys("one")
    world.relay.add(Rule(dated(date), part=Part.VAULT, count=count, probes=True))
    job = world.push(key)
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    assert clock_words(world, job) == []
    job = request_connection_test(credential=credential, vault=world.group.vault, actor=world.actor)
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


def test_a_stray_date_explains_no_refusal_that_has_another_reason(world):
    (key,) = world.make_keys("one")
    world.relay.add(Rule(dated(STRAY_DATES[0]), method="GET", part=Part.VAULT, count=None, probes=True))
    world.damage(envelope(403, "Forbidden", "The vault is under legal hold."), "PUT", KEY, count=None)
    job = world.push(key)
    world.work(job)
    assert "legal hold" in world.words(job)
    assert clock_words(world, job) == []


@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY])
def test_a_silent_login_is_left_within_two_seconds_of_a_cancel(world, part):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(Damage(hang=True), part=part, count=None)
    with InBackground(world, job) as running:
        time.sleep(1)
        running.cancel()
        assert running.is_back_within(CANCEL_SECONDS)
