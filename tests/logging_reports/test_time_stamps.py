"""Time stamps of RFC 3161 on checkpoints: from a real authority, judged by OpenSSL, in good and bad weather."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import CommandError
from django.db import DatabaseError, connection, transaction

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports import checkpoints, time_stamp_authority, time_stamp_requests, triggers
from logging_reports.json_lines import to_line
from logging_reports.models import CheckpointTimeStamp, ImmutableLogError, LogEntry, Notice, TimeStampOutage
from logging_reports.offline import main
from logging_reports.services import Draft, record_many
from logging_reports.time_stamp_requests import find_due, stamp_due
from logging_reports.time_stamps import TimeStampError, new_query
from tests.logging_reports.harness import log_can_be_flushed
from tests.logging_reports.log_commands import execute, verify
from tests.logging_reports.log_pages import auditor
from tests.logging_reports.notice_sending import empty_redis, run_worker
from tests.logging_reports.signer import Signer
from tests.logging_reports.stamping_authority import (
    POLICY,
    make_certificate,
    new_authority,
    openssl,
    running_authority,
    write_pem,
)

__all__ = ["auditor", "empty_redis", "log_can_be_flushed"]
STAMPED = b"what is stamped"


@pytest.fixture
def authority(tmp_path, settings):
    with running_authority(tmp_path) as state:
        settings.KMES_TIMESTAMP_URL = state.url
        settings.KMES_TIMESTAMP_CA_FILE = str(state.ca_file)
        settings.KMES_TIMESTAMP_SECONDS = 0
        yield state


@pytest.fixture
def signer(db):
    return Signer()


@pytest.fixture
def checkpoint(signer):
    return next_checkpoint(signer)


def next_checkpoint(signer):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message="m")])
    return signer.make_checkpoint()


def make_due() -> None:
    TimeStampOutage.objects.update(next_try_at=now() - timedelta(seconds=1))


# --- From an authority to an auditor -----------------------------------------------------------
def test_openssl_verifies_what_an_auditor_downloads(authority, checkpoint, auditor, tmp_path):
    stamp = stamp_due()
    assert (stamp.number, stamp.policy, stamp.authority) == (checkpoint.number, POLICY, "CN=Authority of the tests")
    page = auditor.get("/logs/checkpoints/").content.decode()
    assert f"/logs/checkpoints/{checkpoint.number}.tsr" in page
    anchor, time_stamp = tmp_path / "anchor.txt", tmp_path / "anchor.tsr"
    anchor.write_bytes(auditor.get(f"/logs/checkpoints/{checkpoint.number}.txt").content)
    answer = auditor.get(f"/logs/checkpoints/{checkpoint.number}.tsr")
    assert answer["Content-Type"] == "application/timestamp-reply"
    time_stamp.write_bytes(answer.content)
    judge = ("ts", "-verify", "-in", time_stamp, "-data", anchor, "-CAfile", authority.ca_file)
    assert "Verification: OK" in openssl(*judge)
    anchor.write_bytes(anchor.read_bytes() + b"x")
    with pytest.raises(AssertionError, match="imprint"):
        openssl(*judge)


def test_the_query_has_a_nonce_asks_for_certificates_and_names_sha_256(authority, checkpoint, tmp_path):
    stamp_due()
    (query,) = authority.queries
    (tmp_path / "q").write_bytes(query)
    text = openssl("ts", "-query", "-in", tmp_path / "q", "-text")
    assert "Hash Algorithm: sha256" in text
    assert "Certificate required: yes" in text
    assert "Nonce: 0x" in text
    assert new_query(STAMPED).nonce != new_query(STAMPED).nonce


@pytest.mark.django_db(transaction=True)
def test_a_scan_has_the_report_worker_stamp_the_newest_checkpoint(authority, signer, empty_redis):
    next_checkpoint(signer)
    newest = next_checkpoint(signer)
    time_stamp_requests.hint()
    run_worker(empty_redis)
    assert CheckpointTimeStamp.objects.get().number == newest.number


def test_nothing_is_asked_where_no_authority_is_configured(authority, checkpoint, settings, django_assert_num_queries):
    settings.KMES_TIMESTAMP_URL = ""
    with django_assert_num_queries(0):
        assert find_due() is None
    assert checkpoints.find_state().outage is None
    assert authority.queries == []


def test_a_checkpoint_is_stamped_once_and_the_next_after_the_interval(authority, signer, settings):
    settings.KMES_TIMESTAMP_SECONDS = 600
    first = next_checkpoint(signer)
    assert stamp_due().number == first.number
    assert stamp_due() is None
    second = next_checkpoint(signer)
    assert find_due() is None
    with time_machine.travel(now() + timedelta(seconds=601)):
        assert find_due() == second
    # The last one was received before the clock was set back.
    with time_machine.travel(now() - timedelta(days=1)):
        make_due()
        assert find_due() == second


def test_two_workers_ask_once(authority, checkpoint):
    assert time_stamp_requests._claim()
    assert not time_stamp_requests._claim()
    assert stamp_due() is None
    assert authority.queries == []


def test_a_time_stamp_is_never_changed_or_removed(authority, checkpoint):
    stamp = stamp_due()
    with pytest.raises(ImmutableLogError):
        stamp.save()
    for sql in ("UPDATE {} SET number = 9", "DELETE FROM {}"):
        with pytest.raises(DatabaseError), transaction.atomic():
            execute(sql.format(triggers.TIME_STAMP))


# --- Bad weather --------------------------------------------------------------------------------
def other_nonce(query: bytes) -> bytes:
    # The nonce is the last but one element: an INTEGER of eight bytes before the BOOLEAN of three.
    return query[:-4] + bytes([query[-4] ^ 1]) + query[-3:]


def other_imprint(query: bytes) -> bytes:
    start = query.index(b"\x04\x20") + 2
    return query[:start] + bytes([query[start] ^ 1]) + query[start + 1 :]


FAULTS = {
    "another nonce": (lambda a: setattr(a, "alter_query", other_nonce), "its nonce is another one"),
    "another imprint": (lambda a: setattr(a, "alter_query", other_imprint), "its hash is another one"),
    "another policy": (lambda a: setattr(a, "policy", "1.2.3.4"), "policy 1.2.3.4"),
    "a rejection": (lambda a: setattr(a, "digests", "sha512"), "did not grant it: rejection"),
    "garbage": (lambda a: setattr(a, "alter_reply", lambda _body: b"\x30\x82" * 40), "is no time stamp"),
    "nothing": (lambda a: setattr(a, "alter_reply", lambda _body: b""), "is no time stamp"),
    "a cut answer": (lambda a: setattr(a, "alter_reply", lambda body: body[:-1]), "is no time stamp"),
    "a huge answer": (lambda a: setattr(a, "alter_reply", lambda body: body + bytes(70_000)), "larger than 65536"),
    "a web page": (lambda a: setattr(a, "content_type", "text/html"), "text/html, not a time stamp"),
    "an error": (lambda a: setattr(a, "status", 503), "HTTP 503"),
    "a redirect": (
        lambda a: (setattr(a, "status", 302), a.headers.update(Location=f"http://127.0.0.1:{a.port}/elsewhere")),
        "HTTP 302",
    ),
    "a certificate that has ended": (
        lambda a: setattr(a, "signer", make_certificate("Old", a.intermediate, is_authority=True, ended=True)),
        "certificate has expired",
    ),
    "another authority": (
        lambda a: setattr(a, "signer", new_authority(a.folder).signer) or write_pem(a.ca_file, a.root.certificate),
        "does not hold under the authority.s certificates",
    ),
    "a signature that is wrong": (
        lambda a: setattr(a, "alter_reply", lambda body: body[:-1] + bytes([body[-1] ^ 1])),
        "does not hold|is no time stamp",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_is_not_what_was_asked_for_is_refused_in_words_and_tried_again(
    fault, authority, checkpoint, settings
):
    settings.KMES_TIMESTAMP_POLICY = POLICY
    arrange, words = FAULTS[fault]
    arrange(authority)
    assert stamp_due() is None
    assert not CheckpointTimeStamp.objects.exists()
    outage = checkpoints.find_state().outage
    assert outage.failures == 1
    with pytest.raises(TimeStampError, match=words):
        time_stamp_authority.request_time_stamp(STAMPED)
    # One query each, redirects included.
    assert len(authority.queries) == 2


def test_an_answer_that_drips_is_cut_off(authority, checkpoint, monkeypatch):
    monkeypatch.setattr(time_stamp_authority, "SECONDS", 0.5)
    authority.seconds_per_byte = 0.05
    assert stamp_due() is None
    assert not CheckpointTimeStamp.objects.exists()
    # It was still sending: not the end of the body, but the limit ended it.
    assert authority.is_sending


def test_an_authority_with_another_time_is_refused(authority, checkpoint):
    with time_machine.travel(now() + timedelta(minutes=6)):
        assert stamp_due() is None
        assert "but this machine's is" in TimeStampOutage.objects.get().last_error


def test_an_authority_that_is_down_is_tried_again_with_pauses_and_becomes_a_notice_after_an_hour(
    authority, signer, settings, auditor
):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.KMES_TIMESTAMP_URL = f"http://127.0.0.1:{port}/"
    next_checkpoint(signer)
    with time_machine.travel(now(), tick=False) as clock:
        for pause in (60, 300, 900, 3600):
            assert stamp_due() is None
            clock.shift(timedelta(seconds=pause - 1))
            assert find_due() is None
            clock.shift(timedelta(seconds=1))
            # Checkpoints go on, and the newest one is due.
            newest = next_checkpoint(signer)
            assert find_due() == newest
        assert not LogEntry.objects.filter(event="log.time_stamps_missing").exists()
        assert stamp_due() is None
        assert "Connection refused" in LogEntry.objects.get(event="log.time_stamps_missing").message
        assert Notice.objects.filter(event="log.time_stamps_missing").exists()
        # Two hours ended the session.
        auditor.force_login(get_user_model().objects.get(username="audra"))
        page = auditor.get("/logs/checkpoints/").content.decode()
        assert "There have been no time stamps since" in page
        clock.shift(timedelta(hours=1))
        assert stamp_due() is None
    assert LogEntry.objects.filter(event="log.time_stamps_missing").count() == 1
    settings.KMES_TIMESTAMP_URL = authority.url
    make_due()
    assert stamp_due() is not None
    assert LogEntry.objects.filter(event="log.time_stamps_resumed").count() == 1
    assert checkpoints.find_state().outage is None


@pytest.mark.parametrize("address", ["169.254.169.254", "192.0.0.192", "168.63.129.16", "0.0.0.0", "127.0.0.1"])  # noqa: S104
def test_an_authority_is_never_a_service_of_a_cloud_nor_this_machine_by_another_name(
    address, authority, checkpoint, settings, monkeypatch
):
    settings.KMES_TIMESTAMP_URL = "http://tsa.example.com/"
    answers = [(socket.AF_INET, 1, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: answers)
    assert stamp_due() is None
    assert "address is not allowed" in TimeStampOutage.objects.get().last_error


@pytest.mark.parametrize(
    "url", ["ftp://tsa.example.com", "tsa", "http://", "http://a@tsa/", "http://tsa:99999/", "http://t a/"]
)
def test_a_setting_that_is_no_address_is_said_to_be_none(url, authority, checkpoint, settings):
    settings.KMES_TIMESTAMP_URL = url
    assert stamp_due() is None
    assert "KMES_TIMESTAMP_URL is no" in TimeStampOutage.objects.get().last_error


# --- Verification --------------------------------------------------------------------------------
def test_verify_log_verifies_time_stamps_and_says_when_the_log_existed(authority, signer, settings, tmp_path):
    next_checkpoint(signer)
    settings.KMES_TIMESTAMP_CA_FILE, ca_file = "", settings.KMES_TIMESTAMP_CA_FILE
    assert "time stamps: not verified" in verify()[1]
    status, said = verify("--timestamp-ca", ca_file)
    assert (status, "no checkpoint has a time stamp" in said) == (2, True)
    settings.KMES_TIMESTAMP_CA_FILE = ca_file
    stamp_due()
    next_checkpoint(signer)
    status, said = verify()
    assert status == 0
    assert "checkpoint 1 existed at" in said
    assert "ok, 1; 1 newer checkpoints have none yet" in said
    stranger = write_pem(tmp_path / "stranger.pem", make_certificate("Stranger", None).certificate)
    assert verify("--timestamp-ca", str(stranger))[0] == 1
    with pytest.raises(CommandError, match="can't be read"):
        verify("--timestamp-ca", str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE {stamps} SET number = 2", "its hash is another one"),
        ("UPDATE {stamps} SET number = 9", "checkpoint 9 is gone"),
        ("UPDATE {stamps} SET at = '2026-01-01T00:00:00+00:00'", "not the one that the table names"),
        ("UPDATE {checkpoints} SET signature = {empty}", "its hash is another one"),
    ],
)
def test_what_was_changed_behind_a_time_stamp_is_found(sql, words, authority, signer):
    next_checkpoint(signer)
    stamp_due()
    next_checkpoint(signer)
    assert verify()[0] == 0
    triggers.remove(connection)
    names = {"stamps": triggers.TIME_STAMP, "checkpoints": triggers.CHECKPOINT}
    execute(sql.format(**names, empty="x''" if connection.vendor == "sqlite" else "''::bytea"))
    triggers.install(connection)
    status, said = verify()
    assert status == 1
    assert words in said


def test_a_checkpoint_that_claims_to_be_later_than_its_time_stamp_is_found(authority, signer):
    with time_machine.travel(now() + timedelta(minutes=30)):
        newest = next_checkpoint(signer)
    response, stamp = time_stamp_authority.request_time_stamp(newest.anchor.to_file().encode())
    CheckpointTimeStamp.objects.create(
        number=newest.number, at=stamp.at, authority="-", policy="-", response=response, received_at=now()
    )
    assert "the checkpoint claims to be later" in verify()[1]


def test_the_offline_verifier_says_when_an_export_existed(authority, signer, tmp_path, capsys):
    row = record_many([Draft(event="azure.probe", actor=SYSTEM, message="m")])[0]
    checkpoint = signer.make_checkpoint()
    export, anchor, stamp = (tmp_path / name for name in ("export.jsonl", "anchor.txt", "anchor.tsr"))
    export.write_text(to_line(row))
    anchor.write_text(checkpoint.anchor.to_file())
    stamp.write_bytes(bytes(stamp_due().response))
    known = [str(export), "--anchor", str(anchor), "--key", signer.key]
    assert main([*known, "--timestamp", str(stamp), "--timestamp-ca", str(authority.ca_file)]) == 0
    assert "as CN=Authority of the tests states" in capsys.readouterr().out
    stranger = write_pem(tmp_path / "stranger.pem", make_certificate("Stranger", None).certificate)
    assert main([*known, "--timestamp", str(stamp), "--timestamp-ca", str(stranger)]) == 1
    assert main([*known, "--timestamp", str(stamp), "--timestamp-ca", str(tmp_path / "missing")]) == 2
    stamp.write_bytes(b"")
    assert main([*known, "--timestamp", str(stamp), "--timestamp-ca", str(authority.ca_file)]) == 1
    with pytest.raises(SystemExit):
        main([*known, "--timestamp", str(stamp)])
