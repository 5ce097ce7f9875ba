"""Approvals that passkeys sign: neither a forged row, a replay, nor the web process's key alone gets a job run."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import get_user_model

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.approvals.services import record_of
from jobs.engine import approval_requests
from jobs.engine.approver_signatures import statement_of
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key
from kmes.accounts.models import Passkey
from kmes.accounts.second_factor.passkeys.registered_keys import find_registered
from kmes.accounts.second_factor.services import reset
from kmes.accounts.services import deactivate_user
from kmes.core.clock import now
from kmes.core.passkey_proofs import challenge_of
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import sign
from logging_reports.models import Notice
from tests.accounts.passkey_pages import ORIGIN, PASSWORD, add_passkey, with_password
from tests.authenticator import ES256, UP, UV, Authenticator, Credential, b64
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.jobs.passkey_approving import Approver
from tests.people import body

__all__ = ["admin", "credential", "device", "group", "hsm_token"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ben(db):
    return Approver("ben")


@pytest.fixture
def keys(group, admin, ben):
    made = make_keys(group, "k1", "k2", actor=admin)
    make_approvers("zoe")
    set_policy("destroy", actor=admin)
    return made


@pytest.fixture
def job(keys, admin):
    return request_destroy(keys=keys[:1], actor=admin, reason=REASON)


def nothing_ran(job, code):
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    work(job)
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}
    return (job.state, job.error_code) == ("failed", code)


def alarms():
    return Notice.objects.filter(event="job.not_genuine").count()


def web_signs(job, approver, proof):
    """What a web process that somebody holds can write: its own signature is genuine."""
    request = request_of(job)
    return approval_requests.add_decision(
        request, actor=approver.actor, verdict=Verdict.APPROVE, reason="", proof=proof
    )


def test_the_web_process_alone_approves_nothing_for_a_user_with_a_passkey(job, ben):
    web_signs(job, ben, None)
    assert nothing_ran(job, "approval_void")


@pytest.mark.parametrize("is_logged", [False, True])
def test_an_approval_that_the_web_process_dates_back_counts_for_nothing(job, ben, is_logged):
    """Before its user had a passkey: whoever holds the key of the web process signs any time, but adds no earlier log row."""
    decision = web_signs(job, ben, None)
    decision.decided_at = now() - timedelta(days=400)
    decision.signature = sign(approval_requests._message_of_decision(decision), Signer.WEB)
    decision.save()
    assert approval_requests.is_decision_genuine(decision)
    if is_logged:
        record_of("approval.approved", request_of(job), "Reason: none given", actor=ben.actor)
    assert nothing_ran(job, "approval_void")


def test_who_adds_a_passkey_after_an_unsigned_approval_has_approved_all_the_same(job, ben):
    [dan] = make_approvers("dan")
    dan_user = get_user_model().objects.get(pk=dan.user_id)
    approve(job, dan)
    dan_user.set_password(PASSWORD)
    dan_user.save()
    assert add_passkey(with_password(dan_user), Authenticator()).status_code in {200, 302}
    assert find_registered(dan_user.pk)
    assert work(job).state == "succeeded"


def test_a_signature_by_a_key_that_the_log_does_not_know_counts_for_nothing(job, ben):
    """The attacker has the key of the web process, and an authenticator of their own."""
    request = request_of(job)
    made = Credential(b"own", ec.generate_private_key(ec.SECP256R1()), ES256, "testserver", b"")
    nonce = "ab" * 32
    statements = [statement_of(request, user_id=ben.user.pk, verdict="approve", reason="")]
    client = {"type": "webauthn.get", "challenge": b64(challenge_of(nonce, statements)), "origin": ORIGIN}
    client_data = json.dumps(client).encode()
    data = hashlib.sha256(b"testserver").digest() + bytes([UP | UV]) + bytes(4)
    public = made.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    proof = {
        "domain": "testserver",
        "nonce": nonce,
        "statements": statements,
        "public_key": base64.b64encode(public).decode(),
        "client_data": base64.b64encode(client_data).decode(),
        "authenticator_data": base64.b64encode(data).decode(),
        "signature": base64.b64encode(made.sign(data + hashlib.sha256(client_data).digest())).decode(),
    }
    web_signs(job, ben, proof)
    assert nothing_ran(job, "approval_void")


def test_the_passkey_of_another_user_does_not_sign_for_this_one(job, ben, keys, admin):
    cleo = Approver("cleo")
    cleo.approve(job)
    proof = ApprovalDecision.objects.get().proof
    ApprovalDecision.objects.all().delete()
    web_signs(job, ben, proof)
    assert nothing_ran(job, "not_approved")
    assert alarms() == 1


def test_a_signature_is_not_replayed_for_another_request(job, keys, admin, ben):
    other = request_destroy(keys=keys[1:], actor=admin, reason=REASON)
    answer = ben.answer(job)
    refused = ben.send(other, passkey=answer)
    assert refused.status_code == 422
    assert not ApprovalDecision.objects.exists()
    ben.approve(job)
    web_signs(other, ben, ApprovalDecision.objects.get().proof)
    assert nothing_ran(other, "not_approved")
    assert alarms() == 1


def test_an_answer_is_taken_once_and_for_the_comment_that_was_signed(job, ben):
    answer = ben.answer(job, reason="Yes")
    assert ben.send(job, passkey=answer, reason="Yes, and more").status_code == 422
    assert not ApprovalDecision.objects.exists()
    answer = ben.answer(job, reason="Yes")
    assert ben.send(job, passkey=answer, reason="Yes").status_code == 302
    assert ben.send(job, passkey=answer, reason="Yes").status_code == 422


def test_a_confirmation_or_a_sign_in_signs_no_approval(job, ben):
    options = json.loads(body(ben.client.post("/profile/second-factor/options/")))["publicKey"]
    assert ben.send(job, passkey=ben.key.get(options, origin=ORIGIN)).status_code == 422


@pytest.mark.parametrize("odd", [{"flags": UP}, {"origin": "https://evil.example", "ignores_site": True}, {"count": 1}])
def test_an_answer_without_verification_from_elsewhere_or_from_a_copy_signs_nothing(job, ben, odd):
    ben.confirm()
    options = ben.options(job).json()["publicKey"]
    answer = ben.key.get(options, **{"origin": ORIGIN, **odd})
    assert ben.send(job, passkey=answer).status_code == 422
    assert not ApprovalDecision.objects.exists()


def test_a_plan_that_changed_after_the_signature_is_not_run(job, keys, ben):
    answer = ben.answer(job)
    Key.objects.filter(pk=keys[0].pk).update(name="another")
    assert ben.send(job, passkey=answer).status_code == 422
    Key.objects.filter(pk=keys[0].pk).update(name=keys[0].name)
    ben.approve(job)
    assert job.state == "queued"
    Key.objects.filter(pk=keys[0].pk).update(name="another")
    assert nothing_ran(job, "approval_void")


def test_options_for_a_plan_that_was_not_shown_are_not_given(job, ben):
    assert ben.options(job, seen="0" * 64).status_code == 409


@pytest.mark.parametrize("change", ["proof removed", "public key exchanged", "request changed"])
def test_rows_that_were_changed_in_the_database_let_nothing_run(job, ben, change):
    ben.approve(job)
    decision = ApprovalDecision.objects.get()
    if change == "proof removed":
        ApprovalDecision.objects.update(proof={})
    elif change == "public key exchanged":
        ApprovalDecision.objects.update(proof={**decision.proof, "public_key": "AAAA"})
    else:
        ApprovalRequest.objects.update(plan={**request_of(job).plan, "title": "Destroy nothing"})
    assert nothing_ran(job, "not_approved")
    assert alarms() == 1


def test_who_is_deactivated_or_loses_the_passkey_after_the_signature_counts_no_more(job, ben, admin):
    ben.approve(job)
    zoe = make_approvers("yves")[0]
    reset(user=ben.user, actor=zoe)
    assert not Passkey.objects.exists()
    assert nothing_ran(job, "approval_void")


def test_a_deactivated_signer_counts_no_more(job, ben, admin):
    ben.approve(job)
    deactivate_user(user=ben.user, actor=admin)
    assert nothing_ran(job, "approval_void")


def test_a_policy_with_passkeys_is_not_met_by_an_unsigned_approval_of_the_web_process(keys, admin, ben):
    [dan] = make_approvers("dan")
    Approver("cleo")
    stricter = set_policy("destroy", actor=admin, needs_passkey=True)
    ben.approve(stricter)
    assert work(stricter).state == "succeeded"
    job = request_destroy(keys=keys[1:], actor=admin, reason=REASON)
    approval_requests.add_decision(request_of(job), actor=dan, verdict=Verdict.APPROVE, reason="")
    assert nothing_ran(job, "approval_void")
