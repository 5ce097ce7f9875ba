"""An attacker who can write to the database adds jobs, changes those that wait, and puts old ones back."""

from __future__ import annotations

import json
from copy import copy
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth import get_user_model

from cloudcreds.models import CloudCredential
from jobs.choices import JobState
from jobs.due_rotations import serve
from jobs.engine import execution, lifecycle
from jobs.engine.authenticity import NotGenuine
from jobs.engine.creation import NewJob, create_job
from jobs.engine.entitlement import check_authentic
from jobs.engine.run import JobRun
from jobs.engine.signatures import message_of_job, message_of_target
from jobs.journal import kek_sweep
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.rotate.spec import request_rotation
from jobs.models import EphemeralKek, Job, JobTarget
from jobs.services import request_cancel, request_retry
from keygroups.models import Key, KeyGroup
from keygroups.services import delete_group
from kmes.core.actor import SCHEDULE, SYSTEM
from kmes.core.clock import now
from kmes.core.errors import PermissionRefused
from kmes.core.ids import new_job_code, new_uuid
from kmes.core.request_keys import Signer, default_signers_file, make_request_keys
from kmes.core.request_signatures import sign
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import make_group, make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keys(group, admin):
    """Three keys of a group, made by a genuine job; each test's material that is not to be lost or pushed."""
    return make_keys(group, "k1", "k2", "k3", actor=admin)


@pytest.fixture
def other_group(credential, azure_stand_in):
    return make_group(credential, azure_stand_in.vault_url("kv-premium"), name="salaries")


def write_row(job: Job, **values: object) -> None:
    """What somebody with the database's password does."""
    Job.objects.filter(pk=job.pk).update(**values)


def was_refused(job: Job, code: str = "not_genuine") -> bool:
    """Whether a worker ends the job without doing anything for it, and raises the alarm once."""
    before = list(Key.objects.order_by("pk").values_list("pk", "state"))
    calls = LogEntry.objects.filter(service="azure", event__startswith="azure.k").count()
    for _time in range(2):
        work(job)
    row = LogEntry.objects.get(event="job.not_genuine", job_id=job.pk)
    assert (row.severity, row.actor_name) == ("error", "system")
    assert Notice.objects.filter(event="job.not_genuine").count() == 1
    assert not LogEntry.objects.filter(event="job.started", job_id=job.pk).exists()
    assert list(Key.objects.order_by("pk").values_list("pk", "state")) == before
    assert LogEntry.objects.filter(service="azure", event__startswith="azure.k").count() == calls
    return (job.state, job.error_code) == (JobState.FAILED, code)


# --- A job that nobody asked for -------------------------------------------------------------
def test_an_inserted_job_of_the_schedule_rotates_nothing(group):
    forged = Job.objects.create(
        kind="rotate",
        group=group,
        credential=group.credential,
        actor_name="schedule",
        trigger="schedule",
        params={"name": "mine"},
        azure_lock=group.azure_lock,
        run_after=now(),
    )
    assert was_refused(forged, "not_signed")
    assert "carries no signature" in forged.error_what
    assert "Its row names schedule as its requester" in LogEntry.objects.get(event="job.not_genuine").message


def test_a_job_in_the_name_of_an_administrator_destroys_nothing(keys, admin):
    forged = Job.objects.create(
        kind="destroy", actor_name="ada", trigger="user", requested_by_id=admin.user_id, run_after=now()
    )
    JobTarget.objects.create(job=forged, key=keys[0], ordinal=1)
    assert was_refused(forged, "not_signed")
    assert bytes(Key.objects.get(pk=keys[0].pk).wrapped_private)


def test_the_signature_of_one_job_serves_no_other(keys, admin):
    job = request_create_keys(group=keys[0].group, names=["k4"], actor=admin)
    forged = copy(job)
    forged.pk, forged.code = new_uuid(), new_job_code()
    forged.save(force_insert=True)
    work(job)
    assert was_refused(forged)


def test_a_key_of_the_attackers_own_signs_for_nobody(group, admin):
    own = Ed25519PrivateKey.generate()
    job = request_rotation(group=group, actor=admin)
    write_row(job, request_signature=own.sign(message_of_job(job, [])))
    assert was_refused(job)


def test_a_signer_that_is_not_known_signs_nothing(group, admin):
    job = request_rotation(group=group, actor=admin)
    job.request_signer = "intruder"
    signature = Ed25519PrivateKey.generate().sign(message_of_job(job, []))
    write_row(job, request_signer="intruder", request_signature=signature)
    assert was_refused(job)
    assert "“intruder”, of whom no key is accepted" in job.error_what


# --- A job that was changed while it waited --------------------------------------------------
CHANGES = {
    "params": lambda job, _: {"params": {"name": "chosen by the attacker", "resume_key": str(new_uuid())}},
    "no params": lambda job, _: {"params": []},
    "float": lambda job, _: {"params": {"name": 1.5}},
    "kind": lambda job, _: {"kind": "cloud_delete"},
    "group": lambda job, other: {"group": other},
    "requester": lambda job, _: {"requested_by": get_user_model().objects.create_user("eve", role="admin")},
    "requester's name": lambda job, _: {"actor_name": "eve"},
    "trigger": lambda job, _: {"trigger": "api"},
    "trigger of the schedule": lambda job, _: {"trigger": "schedule", "requested_by": None},
    "trigger that nobody knows": lambda job, _: {"trigger": "whatever"},
    "time": lambda job, _: {"created_at": job.created_at + timedelta(microseconds=1)},
    "code": lambda job, _: {"code": new_job_code()},
    "subject": lambda job, _: {"subject": "something else"},
    "chain": lambda job, _: {"follows": job},
    "retry": lambda job, _: {"retry_of": job},
    "signer": lambda job, _: {"request_signer": "worker"},
    "signature": lambda job, _: {"request_signature": bytes(64)},
    "credential": lambda job, _: {"credential": None},
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_waiting_job_that_was_changed_is_refused(changed, group, other_group, admin):
    job = request_rotation(group=group, actor=admin)
    write_row(job, **CHANGES[changed](job, other_group))
    assert was_refused(job)


def test_another_credential_in_a_waiting_job_is_refused(group, admin):
    job = request_rotation(group=group, actor=admin)
    twin = CloudCredential.objects.get(pk=group.credential_id)
    twin.pk, twin.name = new_uuid(), "twin"
    twin.save(force_insert=True)
    write_row(job, credential=twin)
    assert was_refused(job)


@pytest.mark.parametrize("how", ["added", "removed", "exchanged", "put first"])
def test_the_keys_of_a_waiting_job_can_not_be_chosen_anew(how, keys, admin):
    job = request_destroy(keys=keys[:2], actor=admin)
    first, second = job.targets.order_by("ordinal")
    if how == "added":
        JobTarget.objects.create(job=job, key=keys[2], ordinal=3)
    elif how == "removed":
        first.delete()
    elif how == "exchanged":
        JobTarget.objects.filter(pk=first.pk).update(key=keys[2])
    else:
        JobTarget.objects.filter(pk=second.pk).update(ordinal=0)
    assert was_refused(job)
    assert all(bytes(key.wrapped_private) for key in Key.objects.all())


def test_a_key_that_is_added_with_a_signature_of_the_web_process_is_refused(keys, admin):
    job = request_destroy(keys=keys[:1], actor=admin)
    target = JobTarget(job=job, key=keys[1], ordinal=2)
    target.request_signature = sign(message_of_target(target), Signer.WEB)
    target.save(force_insert=True)
    assert was_refused(job)
    assert "not requested for the key “k2”" in job.error_what


def test_a_signature_that_the_worker_gave_for_one_job_adds_its_key_to_no_other(keys, admin):
    job = request_destroy(keys=keys[:1], actor=admin)
    made_by_the_worker = JobTarget.objects.exclude(request_signature=b"").get(key=keys[1])
    JobTarget.objects.create(
        job=job, key=keys[1], ordinal=2, request_signature=bytes(made_by_the_worker.request_signature)
    )
    assert was_refused(job)


def test_a_key_that_appears_while_the_job_runs_is_not_worked_on(keys, admin):
    job = request_destroy(keys=keys[:1], actor=admin)
    run = JobRun(job, lifecycle.claim(job.pk, owner="worker"))
    check_authentic(run)
    JobTarget.objects.create(job=job, key=keys[1], ordinal=2)
    with pytest.raises(NotGenuine, match="“k2”"):
        run.pending_targets()


# --- What each process may ask for -----------------------------------------------------------
def signed_by(signer: Signer, job: Job) -> Job:
    """The job as a process writes it that uses its key for more than it may."""
    job.request_signer = signer.value
    job.request_signature = sign(message_of_job(job, []), signer)
    job.save()
    return job


def test_the_key_of_the_web_process_asks_for_nothing_in_the_schedules_name(group):
    job = signed_by(Signer.WEB, request_rotation(group=group, actor=SCHEDULE))
    assert was_refused(job)
    assert "“web” may not request jobs with the trigger “schedule”" in job.error_what


def test_the_key_of_the_web_process_asks_for_nothing_in_the_systems_name(group):
    assert was_refused(signed_by(Signer.WEB, request_rotation(group=group, actor=SYSTEM)))


def test_the_key_of_the_web_process_goes_on_with_no_chain(group, admin):
    job = request_rotation(group=group, actor=admin)
    job.follows = work(request_create_keys(group=group, names=["k1"], actor=admin))
    assert was_refused(signed_by(Signer.WEB, job))


def test_nobody_asks_as_a_person_without_naming_one(group, admin):
    for signer in Signer:
        job = request_rotation(group=group, actor=admin)
        job.requested_by = None
        assert was_refused(signed_by(signer, job))
        Notice.objects.all().delete()


@pytest.mark.parametrize("process", ["web", "beat", "reports", "anything"])
def test_no_other_process_than_the_worker_asks_as_the_schedule(process, group, settings):
    settings.KMES_PROCESS = process
    with pytest.raises(PermissionRefused, match="may not request jobs"):
        request_rotation(group=group, actor=SCHEDULE)
    assert not Job.objects.filter(kind="rotate").exists()


def test_each_job_is_signed_by_the_process_that_asks_for_it(keys, admin):
    group = keys[0].group
    assert request_rotation(group=group, actor=admin).request_signer == "web"
    Job.objects.update(state="cancelled")
    assert request_rotation(group=group, actor=SCHEDULE).request_signer == "worker"
    Job.objects.update(state="cancelled")
    first = NewJob("self_test", "device", params={"then": [{"kind": "destroy", "keys": [str(keys[0].pk)]}]})
    job = create_job(first, actor=admin, idempotency_key="")
    assert work(job).state == JobState.SUCCEEDED
    follower = job.followers.get()
    assert (follower.request_signer, work(follower).state) == ("worker", JobState.SUCCEEDED)


def test_a_process_whose_public_half_is_gone_asks_for_nothing_more(group, admin, settings, tmp_path):
    job = request_rotation(group=group, actor=admin)
    accepted = json.loads(settings.KMES_REQUEST_SIGNERS_FILE.read_text())
    settings.KMES_REQUEST_SIGNERS_FILE = tmp_path / "public.json"
    settings.KMES_REQUEST_SIGNERS_FILE.write_text(json.dumps({"worker": accepted["worker"]}))
    assert was_refused(job)
    assert "“web”, of whom no key is accepted" in job.error_what


def test_after_a_key_was_replaced_what_it_signed_is_refused(group, admin, settings, tmp_path):
    folder = tmp_path / "keys"
    settings.KMES_REQUEST_KEYS_DIR, settings.KMES_REQUEST_SIGNERS_FILE = folder, default_signers_file(folder)
    make_request_keys(folder, default_signers_file(folder))
    job = request_rotation(group=group, actor=admin)
    make_request_keys(folder, default_signers_file(folder), replace=[Signer.WEB])
    assert was_refused(job)


# --- Old jobs --------------------------------------------------------------------------------
def test_a_job_that_ended_is_not_done_again(keys, admin):
    job = work(request_destroy(keys=keys[:1], actor=admin))
    assert job.state == JobState.SUCCEEDED
    write_row(job, state="queued", finished_at=None, started_at=None)
    JobTarget.objects.filter(job=job).update(state="pending")
    work(job)
    assert (job.state, job.error_code) == (JobState.FAILED, "not_genuine")
    assert "ended before" in job.error_what


def test_a_job_that_was_cancelled_is_not_taken_up_again(group, admin):
    job = request_rotation(group=group, actor=admin)
    request_cancel(job=job, actor=admin)
    write_row(job, state="queued", cancel_requested_at=None, finished_at=None)
    assert was_refused(job)


def test_a_retry_takes_nothing_over_from_a_job_that_was_changed(group, admin):
    failed = request_create_keys(group=group, names=["k1"], actor=admin)
    request_cancel(job=failed, actor=admin)
    failed.refresh_from_db()
    assert request_retry(job=failed, actor=admin).params == {"names": ["k1"]}
    failed.params = {"names": ["chosen by the attacker"]}
    failed.save()
    with pytest.raises(NotGenuine, match="not as it was requested"):
        request_retry(job=failed, actor=admin)


def test_the_next_attempt_of_a_due_rotation_pushes_no_key_that_was_slipped_into_the_last_one(keys, admin):
    group = keys[0].group
    due = now()
    KeyGroup.objects.filter(pk=group.pk).update(
        rotate=True, rotate_every=10, rotate_unit="days", rotation_anchor_at=due - timedelta(days=10), next_due_at=due
    )
    group.refresh_from_db()
    job = Job.objects.get(pk=serve(group))
    JobTarget.objects.create(job=job, key=keys[0], ordinal=1)
    assert was_refused(job)
    group.refresh_from_db()
    group.rotation_slots.update(next_try_at=now())
    following = Job.objects.get(pk=serve(group))
    assert "resume_key" not in following.params
    assert work(following).state == JobState.SUCCEEDED
    assert following.targets.get().key not in keys


# --- What is no attack -----------------------------------------------------------------------
def test_a_job_of_an_earlier_release_is_refused_in_words(group, admin):
    job = request_rotation(group=group, actor=admin)
    write_row(job, request_signer="", request_signature=b"")
    assert was_refused(job, "not_signed")
    assert "before requests were signed" in job.error_what
    assert "Request it again" in job.error_remedy


def test_a_job_whose_key_group_was_deleted_says_so_and_raises_no_alarm(group, admin):
    job = request_create_keys(group=group, names=["k1"], actor=admin)
    delete_group(group=KeyGroup.objects.get(pk=group.pk), actor=admin)
    assert "was deleted" in work(job).error_what
    assert not LogEntry.objects.filter(event="job.not_genuine").exists()


def test_a_worker_that_can_not_read_the_public_halves_does_nothing(group, admin, settings, tmp_path):
    job = request_rotation(group=group, actor=admin)
    settings.KMES_REQUEST_SIGNERS_FILE = tmp_path / "none.json"
    for _try in range(execution.TRIES_FOR_USERS):
        write_row(job, run_after=now())
        work(job)
    assert (job.state, job.error_code) == (JobState.FAILED, "request_key")
    assert not group.keys.exists()


def test_a_row_of_the_kek_ledger_has_no_other_key_deleted(group, admin, vault):
    job = work(request_rotation(group=group, actor=admin))
    EphemeralKek.objects.create(
        job=job, vault=group.vault, name=group.azure_name, modulus_bits=4096, state="live", expires_at=now()
    )
    kek_sweep.sweep()
    assert len(vault.versions(group.azure_name)) == 1
