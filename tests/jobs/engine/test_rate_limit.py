"""The vault's pace is kept by us, over all workers; large jobs let others have their turn; drift is looked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import request_synchronize
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def paced(settings):
    """Pace custom endpoints as Azure's own."""
    settings.KMES_PACE_CUSTOM_ENDPOINTS = True


def test_ten_changes_go_at_once_and_the_next_waits_for_the_window(group, paced, monkeypatch):
    from jobs.engine.rate_limit import reserve

    at = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    waits = [reserve(group.vault) for _change in range(21)]
    assert waits == pytest.approx([0.0] * 10 + [10.25] * 10 + [20.5], abs=0.01)
    at[0] += timedelta(seconds=60)
    assert reserve(group.vault) == 0.0


def test_a_change_that_arrives_late_shifts_what_comes_after(group, paced, monkeypatch):
    from jobs.engine.rate_limit import confirm, reserve

    at = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    for _change in range(10):
        reserve(group.vault)
        at[0] += timedelta(seconds=0.5)
        confirm(group.vault)
    # The first arrived half a second after it was reserved; five seconds have passed since the first.
    assert reserve(group.vault) == pytest.approx(10.25 + 0.5 - 5, abs=0.01)


def test_another_vault_is_not_slowed_down(group, credential, azure_stand_in, paced):
    from jobs.engine.rate_limit import reserve

    for _change in range(30):
        reserve(group.vault)
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    assert reserve(other.vault) == 0.0


def test_custom_endpoints_have_no_limit_unless_told(group):
    from jobs.engine.rate_limit import reserve

    assert [reserve(group.vault) for _change in range(30)] == [0.0] * 30


def test_a_large_job_collects_no_refusal_from_a_vault_with_the_real_limit(
    group, admin, vault, azure_stand_in, paced, monkeypatch
):
    from jobs.engine import turns

    azure_stand_in.control("POST", "/_emulator/settings", {"throttle": True})
    keys = make_keys(group, *[f"key-{number}" for number in range(12)], actor=admin)
    slept = []
    real = turns.time.sleep
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: (slept.append(seconds), real(seconds)))
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert len(vault.versions("payments")) == 12
    refusals = [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["status"] == 429]
    assert refusals == []
    assert sum(slept) > 5, "three more than a window must wait for it"
    creates = [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["path"].endswith("/create")]
    assert len([e for e in creates if e["status"] == 200]) == 1, "one KEK per job"


def test_a_long_job_lets_others_have_their_turn_and_goes_on_after(group, credential, admin, azure_stand_in, settings):

    settings.KMES_TURN_SECONDS = 0
    keys = make_keys(group, "one", "two", "three", actor=admin)
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    (urgent,) = make_keys(other, "urgent", actor=admin)
    long = request_synchronize(keys=keys, actor=admin)
    short = request_synchronize(keys=[urgent], actor=admin)
    assert work(long).state == "queued"
    assert "next turn" in long.waiting_for
    assert work(short).state == "succeeded"
    assert work(long).state == "succeeded"
    assert long.targets.filter(state="done").count() == 3


def test_a_large_job_wraps_in_batches_and_says_how_far_it_is(group, admin, vault, monkeypatch):
    from jobs.kinds.push import batches

    monkeypatch.setattr(batches, "BATCH", 2)
    keys = make_keys(group, *[f"key-{number}" for number in range(5)], actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert job.steps.get(name="import_key").detail == "5 of 5"
    assert len(vault.versions("payments")) == 5


def test_two_requests_at_the_same_moment_push_a_key_once(group, admin, vault):
    """Two people click at once: one job is made, or the second is refused; never two versions."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from jobs.models import Job
    from keygroups.models import Key
    from kmes.core.errors import ConflictError

    (key,) = make_keys(group, "one", actor=admin)

    def ask(_number):
        try:
            return request_synchronize(keys=[Key.objects.select_related("group").get(pk=key.pk)], actor=admin)
        except ConflictError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        asked = [job for job in pool.map(ask, range(4)) if job is not None]
    assert len(asked) == 1
    for job in Job.objects.filter(kind="synchronize"):
        work(job)
    assert len(vault.versions("payments")) == 1


def test_groups_are_compared_with_their_vaults_once_a_day(group, admin, vault, settings):
    from jobs.models import Job
    from jobs.schedule import scans

    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    (made,) = scans.scan_drift()
    assert scans.scan_drift() == []
    assert work(Job.objects.get(pk=made)).state == "succeeded"
    group.refresh_from_db()
    assert (group.differences, group.compared_at is not None) == (0, True)
    assert scans.scan_drift() == []


def test_a_difference_is_kept_and_shown(group, admin, vault):

    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    vault.client.update_key_properties("payments", enabled=False)
    job = work(request_check_drift(group=group, actor=admin))
    group.refresh_from_db()
    assert group.differences == 1
    assert "disabled outside this console" in " ".join(job.messages.values_list("text", flat=True))


def test_no_more_than_a_few_comparisons_crowd_one_vault(group, credential, azure_stand_in):
    from jobs.schedule import scans
    from keygroups.models import KeyGroup

    for number in range(6):
        make_group(credential, azure_stand_in.vault_url("kv-premium"), name=f"g{number}")
    KeyGroup.objects.update(cloud_state="live")
    assert len(scans.scan_drift()) == scans.COMPARISONS_PER_VAULT
