"""Self-certification: the whole cycle as jobs, its evidence, its clean-up after any failure, its signed report."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from base64 import urlsafe_b64decode

import pytest
from django.contrib.auth import get_user_model

from cloudcreds.provider.signatures import is_signature_of_key
from hsm.device import get_device
from hsm.models import HsmDevice
from hsm.types import KeySpec
from jobs import tasks
from jobs.approvals.models import Verdict
from jobs.certifications import progress
from jobs.certifications.checklist import CHECKS
from jobs.certifications.report import VERIFY_COMMAND
from jobs.certifications.services import request_certification
from jobs.certifications.steps import WORK
from jobs.models import Job
from jobs.services import request_cancel
from keygroups.models import KeyGroup
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from tests.cloudcreds.azure.conftest import ALL
from tests.hsm.marked_keys import make_key
from tests.jobs import builders
from tests.jobs.approving import approve, make_approvers, set_policy
from tests.jobs.builders import work
from tests.jobs.engine.killed_worker import run_and_die

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT = "22222222-2222-2222-2222-222222222222"
OPENSSL = shutil.which("openssl")


@pytest.fixture
def premium(credential, azure_stand_in):
    return make_vault(credential, azure_stand_in, "kv-premium")


def make_vault(credential, stand_in, name, **values):
    return builders.make_vault(credential, stand_in.vault_url(name), name=name, **values)


def begin(vault, actor, spec="P-256", **values):
    return request_certification(vault=vault, key_spec=spec, actor=actor, **values)


def work_on(certification, *, until=""):
    """Run the jobs of a certification as workers do, to its end or to the step ``until``."""
    for _turn in range(60):
        certification.refresh_from_db()
        step = certification.steps.filter(state="running").first()
        if certification.state != "running" or (step is not None and step.name == until):
            return certification
        Job.objects.filter(pk=step.job_id).update(run_after=certification.created_at)
        tasks.run_job(str(step.job_id))
    pytest.fail(f"not over: {states(certification)}")


def states(certification):
    return {step.name: step.state for step in certification.steps.all()}


def permit(stand_in, *missing):
    words = [word for word in ALL if word not in missing]
    stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": words})


@pytest.mark.parametrize("spec", ["P-256", "RSA-2048"])
def test_the_whole_cycle_passes_and_leaves_nothing_in_the_vault(spec, premium, admin, vault):
    certification = work_on(begin(premium, admin, spec))
    assert set(states(certification).values()) == {"done"}, [(s.name, s.detail) for s in certification.steps.all()]
    assert certification.state == "passed"
    name = certification.group.azure_name
    assert vault.versions(name) == []
    assert not vault.is_deleted(name)
    assert set(certification.group.keys.values_list("state", flat=True)) == {"destroyed"}
    assert len(certification.left_behind) == 1
    assert "evidence" in certification.left_behind[0]


def test_each_step_keeps_its_evidence(premium, admin):
    certification = work_on(begin(premium, admin))
    evidence = {step.name: step.evidence for step in certification.steps.all()}
    first = evidence["create"]["keys"][0]
    pushed = evidence["push"]["versions"][0]
    assert pushed["thumbprint"] == first["thumbprint"]
    assert evidence["push"]["keks"][0]["kid"]
    proof = evidence["prove"]
    assert (proof["kid"], proof["thumbprint"]) == (pushed["kid"], first["thumbprint"])
    key = certification.group.keys.get(name="first")
    assert is_signature_of_key(
        unpadded(proof["signature"]),
        spec=KeySpec.P_256,
        public_spki=bytes(key.public_spki),
        message=proof["challenge"].encode(),
    )
    assert evidence["prove_rotated"]["kid"] != proof["kid"]
    assert evidence["disable"]["kid"] == evidence["prove_rotated"]["kid"]
    assert "signature" not in evidence["prove_disabled"]
    assert len(evidence["recover"]["versions"]) == 2
    for step in certification.steps.all():
        assert step.job is not None
        assert step.started_at <= step.finished_at


def unpadded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
def test_openssl_verifies_the_report_and_refuses_a_changed_one(premium, admin, tmp_path, client):
    certification = work_on(begin(premium, admin))
    client.force_login(get_user_model().objects.get(username="ada"))
    for name in ("report.json", "report.sig", "signer.pem"):
        answer = client.get(f"{certification.get_absolute_url()}{name}")
        assert answer.status_code == 200
        assert "attachment" in answer["Content-Disposition"]
        (tmp_path / name).write_bytes(answer.content)
    done = subprocess.run(VERIFY_COMMAND.split(), cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"Verified OK\n"
    page = client.get(certification.get_absolute_url()).content.decode()
    assert "It is the report key of device" in page
    HsmDevice.objects.update(report_spki=b"")
    assert "No device is registered with this key" in client.get(certification.get_absolute_url()).content.decode()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["result"] == "passed"
    assert report["type"] == "kmes-self-certification"
    assert [step["name"] for step in report["steps"]][:3] == ["create", "push", "prove"]
    assert all(step["seconds"] is not None and step["job"] for step in report["steps"])
    text = (tmp_path / "report.json").read_text().replace('"passed"', '"failed"')
    (tmp_path / "report.json").write_text(text)
    assert subprocess.run(VERIFY_COMMAND.split(), cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_a_purge_protected_vault_keeps_the_deleted_key_and_the_report_says_until_when(
    credential, admin, azure_stand_in
):
    protected = make_vault(credential, azure_stand_in, "kv-protected")
    certification = work_on(begin(protected, admin))
    assert certification.state == "passed"
    assert states(certification)["purge"] == "skipped"
    assert any("until 20" in sentence for sentence in certification.left_behind)


@pytest.mark.parametrize(
    ("missing", "unproven"),
    [
        ("sign", {"prove", "prove_rotated", "prove_disabled", "prove_recovered"}),
        ("recover", {"recover"}),
        ("purge", {"purge"}),
    ],
)
def test_without_an_optional_permission_the_rest_is_proven_and_the_result_says_so(
    missing, unproven, premium, admin, azure_stand_in
):
    permit(azure_stand_in, missing)
    certification = work_on(begin(premium, admin))
    assert {name for name, state in states(certification).items() if state == "unproven"} == unproven
    assert certification.state == "incomplete"
    assert json.loads(certification.report)["result"] == "incomplete"


@pytest.mark.parametrize("missing", ["import", "update", "create"])
def test_after_a_failure_it_cleans_up_and_still_signs_what_it_found(missing, premium, admin, azure_stand_in, vault):
    permit(azure_stand_in, missing)
    certification = work_on(begin(premium, admin))
    found = states(certification)
    assert certification.state == "failed"
    assert list(found.values()).count("failed") == 1
    assert found["report"] == "done"
    assert found["destroy"] == "done"
    assert vault.versions(certification.group.azure_name) == []
    assert not vault.is_deleted(certification.group.azure_name)
    assert json.loads(certification.report)["result"] == "failed"
    failed = certification.steps.get(state="failed")
    assert missing.capitalize() in failed.detail
    assert "Not reached" in certification.steps.filter(state="skipped").first().detail


def test_a_clean_up_that_fails_is_said_in_the_report(premium, admin, azure_stand_in):
    certification = work_on(begin(premium, admin), until="delete")
    permit(azure_stand_in, "delete")
    work_on(certification)
    assert (states(certification)["delete"], states(certification)["remove"]) == ("failed", "failed")
    assert any("with 2 version(s)" in sentence for sentence in certification.left_behind)


def test_cancelling_a_step_stops_the_run_and_cleans_up(premium, admin, vault):
    certification = work_on(begin(premium, admin), until="rotate")
    request_cancel(job=certification.steps.get(name="rotate").job, actor=admin)
    progress.follow_all()
    work_on(certification)
    assert certification.state == "failed"
    assert states(certification)["disable"] == "skipped"
    assert vault.versions(certification.group.azure_name) == []


def test_a_step_under_a_policy_waits_for_its_approval_and_says_so(premium, admin, vault, client):
    ben, eve = make_approvers("ben", "eve")
    set_policy("cloud_purge", actor=admin, approvals=2)
    client.force_login(get_user_model().objects.get(username="ada"))
    begun = client.get("/certifications/new/").content.decode()
    assert "Purge an Azure key: 2 approvals by users with the role Administrator" in begun
    certification = work_on(begin(premium, admin), until="purge")
    address, job = certification.get_absolute_url(), certification.steps.get(name="purge").job
    assert job.state == "awaiting"
    shown = client.get(address).content.decode()
    step = shown.partition('id="step-purge"')[2].partition("</li>")[0]
    assert "Purge an Azure key: 2 approvals by users with the role Administrator" in step
    assert f'href="/approvals/{job.code}/"' in step
    assert "Awaiting approval" in shown.partition('<p role="status">')[2].partition("</p>")[0]
    request = client.get(f"/approvals/{job.code}/").content.decode()
    assert f"A step of {certification}, on a throw-away key." in request
    assert f'href="{address}">{certification}</a>' in client.get(f"/jobs/{job.code}/").content.decode()
    digest = shown.partition("live/?seen=")[2].partition('"')[0]
    approve(job, ben)
    approve(job, eve)
    assert client.get(f"{address}live/", {"seen": digest}).status_code == 200
    work_on(certification)
    assert certification.state == "passed"
    assert states(certification)["purge"] == "done"


def test_a_step_that_nobody_approves_fails_the_run_and_says_why(premium, admin):
    (ben,) = make_approvers("ben")
    set_policy("cloud_purge", actor=admin)
    certification = work_on(begin(premium, admin), until="purge")
    approve(certification.steps.get(name="purge").job, ben, verdict=Verdict.REFUSE, reason="Not today")
    progress.follow_all()
    work_on(certification)
    assert certification.state == "failed"
    assert "ben refused the job. Not today" in certification.steps.get(name="purge").detail
    assert states(certification)["report"] == "done"


def test_what_nobody_told_is_found_by_the_scan(premium, admin):
    certification = begin(premium, admin)
    work(certification.steps.get(name="create").job)
    assert states(certification)["push"] == "pending"
    progress.follow_all()
    assert states(certification)["push"] == "running"
    progress.follow_all()
    assert certification.steps.filter(state="running").count() == 1


@pytest.mark.timeout(300)
def test_workers_killed_in_the_middle_of_its_steps_change_nothing_in_what_it_finds(premium, admin, vault, settings):
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 1
    certification = begin(premium, admin)
    # The statements at which each dies: after the announcement of what changes the vault, before its record.
    deaths = {"push": 14, "rotate": 14, "disable": 7, "delete": 7}
    for _turn in range(150):
        certification.refresh_from_db()
        step = certification.steps.filter(state="running").first()
        if certification.state != "running":
            break
        if step.name in deaths:
            assert run_and_die(step.job, deaths.pop(step.name)) == -signal.SIGKILL
        past = certification.created_at
        Job.objects.filter(pk=step.job_id).update(run_after=past)
        Job.objects.filter(pk=step.job_id, state="running").update(lease_until=past)
        tasks.run_job(str(step.job_id))
        # The death of a worker is told by nobody, and so may the end of its job be.
        tasks.scan_jobs()
        time.sleep(0.2)
    assert deaths == {}
    assert certification.state == "passed", [(s.name, s.state, s.detail) for s in certification.steps.all()]
    assert vault.versions(certification.group.azure_name) == []
    assert vault.keks() == []


def test_one_run_at_a_time_in_a_vault_and_a_doubled_submit_is_one_run(premium, admin):
    first = begin(premium, admin, idempotency_key="1:a")
    assert begin(premium, admin, idempotency_key="1:a") == first
    with pytest.raises(ConflictError, match=str(first)):
        begin(premium, admin)
    assert KeyGroup.objects.count() == 1


def test_a_standard_vault_is_refused_before_anything_is_made(credential, admin, azure_stand_in):
    with pytest.raises(InputError, match="Standard"):
        begin(make_vault(credential, azure_stand_in, "kv-standard", tier="standard"), admin)
    assert not KeyGroup.objects.exists()


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_only_administrators_may_run_it(role, premium):
    user = get_user_model().objects.create_user("someone", role=role)
    with pytest.raises(PermissionRefused):
        begin(premium, Actor.from_user(user))


def test_who_is_switched_off_meanwhile_stops_the_run_but_not_the_clean_up(premium, admin, vault):
    certification = work_on(begin(premium, admin), until="rotate")
    get_user_model().objects.update(is_active=False)
    work_on(certification)
    assert certification.state == "failed"
    assert states(certification)["report"] == "done"
    assert vault.versions(certification.group.azure_name) == []


def test_a_forged_signature_fails_the_proof(premium, admin):
    """The key here is exchanged for another, so that the vault's signature is one of a stranger."""
    certification = work_on(begin(premium, admin), until="prove")
    other, _mark = make_key(get_device(), KeySpec.P_256)
    certification.group.keys.update(public_spki=other.public_spki)
    work_on(certification)
    assert certification.steps.get(name="prove").state == "failed"
    assert "not one of key" in certification.steps.get(name="prove").detail


def test_each_check_has_its_work():
    assert list(WORK) == [check.name for check in CHECKS]
