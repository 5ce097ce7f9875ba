"""An approver's passkey signs the plan and the decision; the worker and an auditor check it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys

import pytest

from jobs.approvals import offline
from jobs.approvals.models import ApprovalDecision
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from kmes.core.actor import Actor
from kmes.core.errors import InputError, PermissionRefused
from kmes.core.public_keys import fingerprint
from kmes.core.request_keys import read_signers
from logging_reports.models import LogEntry
from tests.accounts.passkey_pages import PASSWORD, with_password
from tests.authenticator import EDDSA, ES256, RS256
from tests.jobs.approving import REASON, approve, make_approvers, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.jobs.passkey_approving import Approver
from tests.people import body
from tests.rules.repository import ROOT

__all__ = ["admin", "credential", "device", "group", "hsm_token"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keys(group, admin):
    return make_keys(group, "k1", actor=admin)


def ask(keys, admin, **values):
    """A job that waits for approvals under a policy with these values."""
    make_approvers("zoe")
    set_policy("destroy", actor=admin, **values)
    return request_destroy(keys=keys, actor=admin, reason=REASON)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_an_approval_that_a_passkey_signed_lets_the_job_run(keys, admin, algorithm):
    ben = Approver("ben", algorithm=algorithm)
    job = ask(keys, admin)
    page = body(ben.client.get(f"/approvals/{job.code}/decide/"))
    assert "Approve with passkey" in page
    assert 'value="approve"' not in page
    assert ben.approve(job, reason="Checked\r\nwith Ada").status_code == 302
    assert job.state == "queued"
    assert "signed by a passkey" in body(ben.client.get(f"/approvals/{job.code}/"))
    assert "Signed by a passkey" in LogEntry.objects.get(event="approval.approved").message
    assert work(job).state == "succeeded", job.error_what


def test_whoever_has_a_passkey_does_not_approve_without_it(keys, admin):
    ben = Approver("ben")
    job = ask(keys, admin)
    ben.confirm()
    refused = ben.send(job, verdict="approve")
    assert refused.status_code == 403
    assert "not signed by a passkey of ben" in body(refused)
    assert not ApprovalDecision.objects.exists()
    # Refusing stops something, so the second factor is enough.
    assert ben.send(job, verdict="refuse", reason="No").status_code == 302


def test_a_refusal_asks_for_the_second_factor_first(keys, admin):
    ben = Approver("ben")
    job = ask(keys, admin)
    ben.client.logout()
    ben.client.force_login(ben.user)
    assert ben.client.get(f"/approvals/{job.code}/decide/").status_code == 200
    assert "confirm" in ben.send(job, verdict="refuse", reason="No").url


def test_a_policy_counts_only_signed_approvals(keys, admin, django_user_model):
    ben, cleo = Approver("ben"), Approver("cleo")
    job = ask(keys, admin, needs_passkey=True)
    plain = django_user_model.objects.create_user("dan", role="admin", password=PASSWORD)
    page = f"/approvals/{job.code}/"
    assert "signed by a passkey, and you have none" in body(with_password(plain).get(page))
    with pytest.raises(PermissionRefused, match="not signed"):
        approve(job, Actor.from_user(plain))
    assert cleo.approve(job).status_code == 302
    assert work(job).state == "succeeded", job.error_what
    assert "signed by a passkey" in body(ben.client.get("/approvals/policies/"))


def test_a_policy_that_too_few_passkeys_could_fulfil_is_refused(admin):
    make_approvers("zoe")
    Approver("ben")
    with pytest.raises(InputError, match="Only 1 active user with the role Administrator has a passkey"):
        set_policy("destroy", actor=admin, needs_passkey=True)


def test_the_option_is_set_on_the_page_and_weakened_under_itself(admin):
    ben = Approver("ben")
    Approver("cleo")
    sent = {"approvals": "1", "role": "admin", "expires_hours": "24", "needs_passkey": "on"}
    ben.confirm()
    assert ben.client.post("/approvals/policies/destroy/", sent).status_code == 302
    assert work(Job.objects.get(kind="set_approval_policy")).state == "succeeded"
    assert "checked" in body(ben.client.get("/approvals/policies/destroy/"))
    weaker = {**sent, "reason": REASON}
    weaker.pop("needs_passkey")
    assert ben.client.post("/approvals/policies/destroy/", weaker).status_code == 302
    assert Job.objects.filter(kind="set_approval_policy", state="awaiting").count() == 1


def test_the_evidence_is_checked_offline(keys, admin, settings, tmp_path, capsys):
    ben = Approver("ben")
    job = ask(keys, admin)
    ben.approve(job, reason="Checked")
    file, signers = tmp_path / "evidence.json", settings.KMES_REQUEST_SIGNERS_FILE
    evidence = ben.client.get(f"/approvals/{job.code}/evidence/")
    assert "attachment" in evidence.headers["Content-Disposition"]
    file.write_text(body(evidence))
    assert offline.main([str(file), "--signers", str(signers)]) == 0
    told = LogEntry.objects.get(event="user.factor_added").data["public_key"]
    assert f"sha256:{told}" in capsys.readouterr().out
    for change in (
        lambda each: each["plan"].update(reason="Ordered by the board"),
        lambda each: each["decisions"][0].update(reason="Not checked"),
        lambda each: each["decisions"][0].update(user=admin.user_id),
        lambda each: each["decisions"][0]["proof"].update(nonce="00" * 32),
        lambda each: each["decisions"][0].update(decided_at=0),
    ):
        changed = json.loads(body(evidence))
        change(changed)
        assert offline.verify(changed, signers=read_signers(signers)["web"]).faults
    file.write_text("[]")
    assert offline.main([str(file)]) == 2


def test_the_offline_check_needs_three_files_and_no_django(keys, admin, tmp_path):
    ben = Approver("ben")
    job = ask(keys, admin)
    ben.approve(job)
    (tmp_path / "evidence.json").write_text(body(ben.client.get(f"/approvals/{job.code}/evidence/")))
    for name in ("kmes/core/canonical_json.py", "kmes/core/passkey_proofs.py", "jobs/approvals/offline.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    program = "import sys; from jobs.approvals.offline import main; sys.exit(main(['evidence.json']) or 'django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_a_passkey_from_before_the_log_named_public_keys_is_recorded_when_it_signs(keys, admin, monkeypatch):
    monkeypatch.setattr("kmes.accounts.second_factor.passkeys.registered_keys.data_of", lambda *_given: {})
    ben = Approver("ben")
    monkeypatch.undo()
    job = ask(keys, admin)
    assert ben.approve(job).status_code == 302
    recorded = LogEntry.objects.get(event="user.passkey_recorded").data
    assert recorded["public_key"] in signing_keys()
    assert work(job).state == "succeeded", job.error_what


def signing_keys():
    return {fingerprint(base64.b64decode(each.proof["public_key"])) for each in ApprovalDecision.objects.all()}
