"""What /healthz, /readyz and /metrics tell, with Redis up and down; real Redis, no stand-ins of ours."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import redis
import time_machine
from django.db import OperationalError, connection

from jobs.choices import HoldReason
from jobs.models import Job, JobStep
from jobs.schedule import clock_guard
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.dashboard.heartbeats import QUEUES
from logging_reports.models import LogHead
from logging_reports.services import record
from tests import services as test_services
from tests.cloudcreds.conftest import device_row, mfk, people
from tests.logging_reports.signer import Signer

__all__ = ["device_row", "mfk", "people"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def heart(redis_server):
    """A client of the real Redis, emptied of heartbeats and of other tests' messages before and after."""
    client = redis.Redis.from_url(redis_server)

    def clear() -> None:
        for key in client.scan_iter("kmes:heartbeat:*"):
            client.delete(key)
        client.delete(*QUEUES.values())

    clear()
    yield client
    clear()
    client.close()


@pytest.fixture
def no_redis(settings):
    """An address where no Redis listens."""
    settings.KMES_REDIS_URL = f"redis://127.0.0.1:{test_services.free_port()}/0"


def beat(heart, *, device="ok", host="one", **more) -> None:
    word = {"at": now().isoformat(), "device": device, "schema": "ok", "version": "1", "kinds": ["self_test"], **more}
    heart.set(f"kmes:heartbeat:worker:{host}", json.dumps(word), ex=60)
    heart.set("kmes:heartbeat:beat", "1", ex=60)


def test_healthz_answers_while_everything_else_is_down(client, no_redis) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_healthz_asks_the_database_nothing(client, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert client.head("/healthz").status_code == 200


def test_ready_when_database_redis_worker_and_device_serve(client, heart) -> None:
    beat(heart)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {"database": "ok", "schema": "ok", "redis": "ok", "worker": "ok", "device": "ok", "beat": "ok"},
        "workers": 1,
        "notes": {"queue": "ok", "schedule": "ok", "mfk": "no device", "releases": "ok"},
    }
    assert "no-cache" in answer["Cache-Control"]


def test_not_ready_when_redis_is_down_and_nothing_is_claimed_about_the_rest(client, no_redis) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "schema": "ok",
        "redis": "unreachable",
        "worker": "unknown",
        "device": "unknown",
        "beat": "unknown",
    }
    assert "127.0.0.1" not in answer.content.decode()


def test_not_ready_without_a_worker(client, heart) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["worker"] == "silent"


def test_not_ready_when_no_worker_has_its_device(client, heart) -> None:
    beat(heart, device="replaced")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["device"]) == (503, "replaced")
    beat(heart, device="ok", host="two")
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("word", ["", "not json", "[]", "{}", '{"at": "x", "device": "ok"}', '"\ud83d"'])
def test_an_unreadable_heartbeat_is_a_worker_without_a_known_device(client, heart, word: str) -> None:
    heart.set("kmes:heartbeat:worker:odd", word.encode("utf-8", "surrogatepass"), ex=60)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["device"] == "unknown"


def test_not_ready_when_the_database_is_gone(client, heart, monkeypatch) -> None:
    beat(heart)

    def refuse(*_arguments: object, **_named: object) -> None:
        raise OperationalError("password=hunter2 host=db")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "unreachable")
    assert "hunter2" not in answer.content.decode()


def make_job(**values):
    return Job.objects.create(
        **{"kind": "self_test", "actor_name": "a", "trigger": "user", "run_after": now(), **values}
    )


def notes(client) -> dict[str, str]:
    return client.get("/readyz").json()["notes"]


def test_not_ready_while_no_worker_fits_the_schema(client, heart) -> None:
    beat(heart, schema="ahead")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["worker"]) == (503, "schema ahead")
    beat(heart, host="two", version="2")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["notes"]["releases"] == "mixed"


@pytest.mark.parametrize("state", ["behind", "ahead"])
def test_not_ready_while_the_schema_is_another_releases(client, heart, state) -> None:
    beat(heart)
    with connection.cursor() as cursor:
        if state == "behind":
            cursor.execute("DELETE FROM django_migrations WHERE app = 'operations' AND name = '0001_initial'")
        else:
            cursor.execute(
                "UPDATE django_migrations SET name = '0999_later' WHERE app = 'operations' AND name = '0001_initial'"
            )
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["schema"]) == (503, state)


def test_a_queue_that_does_not_move_is_noted(client, heart) -> None:
    beat(heart)
    held = make_job(kind="rotate", azure_lock="kv/x", run_after=now() - timedelta(hours=1))
    make_job(kind="rotate", azure_lock="kv/x", state="running")
    beat(heart, kinds=["self_test", "rotate"])
    # It may not run: another job has its Azure key.
    assert notes(client)["queue"] == "ok"
    held.azure_lock = ""
    held.save()
    assert notes(client)["queue"] == "stuck"


def test_a_job_no_living_worker_knows_is_noted(client, heart) -> None:
    beat(heart, kinds=["rotate"])
    make_job()
    assert notes(client)["queue"] == "unknown kind"
    assert "kmes_jobs_orphaned 1.0" in client.get("/metrics").content.decode()
    beat(heart, host="two", kinds=["self_test"])
    assert notes(client)["queue"] == "ok"


def test_a_held_schedule_is_noted(client, heart, people) -> None:
    beat(heart)
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
    assert notes(client)["schedule"] == "held"
    client.force_login(people["operator"])
    page = client.get("/").content.decode()
    assert "Scheduled rotations are held" in page
    assert "/administration/configuration/schedule/" in page
    assert "kmes_schedule_held 1.0" in client.get("/metrics").content.decode()


def test_metrics_of_steps_calls_and_the_device_come_from_rows(client, heart, device_row) -> None:
    job, end = make_job(), now()
    for number, seconds in enumerate((0.05, 3, 400)):
        start = end - timedelta(seconds=seconds)
        JobStep.objects.create(
            job=job,
            name="wrap_key",
            subject=str(number),
            ordinal=number,
            started_at=start,
            finished_at=end,
            state="done",
        )
    record("azure.throttled", actor=SYSTEM, http_status=429)
    record("azure.key_imported", actor=SYSTEM, http_status=200)
    record("device.self_test", actor=SYSTEM)
    text = client.get("/metrics").content.decode()
    lines = text.splitlines()
    assert 'kmes_step_seconds_bucket{le="0.1",step="wrap_key"} 1.0' in lines
    assert 'kmes_step_seconds_bucket{le="5",step="wrap_key"} 2.0' in lines
    assert 'kmes_step_seconds_bucket{le="+Inf",step="wrap_key"} 3.0' in lines
    assert 'kmes_azure_calls_last_hour{status="429"} 1.0' in lines
    assert "kmes_azure_throttled_last_hour 1.0" in lines
    assert 'kmes_device_log_rows_last_hour{event="device.self_test",severity="info"} 1.0' in lines
    assert LogHead.objects.get(service="azure").hash in text
    assert 'kmes_queue_depth{queue="reports"} 0.0' in lines


def test_metrics_tell_how_old_the_last_signed_checkpoint_of_the_log_is(client, heart) -> None:
    name = "kmes_log_checkpoint_age_seconds"
    # No number of seconds would be true: an alert on any age must fire.
    assert f"{name} +Inf" in client.get("/metrics").content.decode()
    record("device.self_test", actor=SYSTEM)
    signed = Signer().make_checkpoint()
    with time_machine.travel(signed.at + timedelta(minutes=70), tick=False):
        assert now() == signed.at + timedelta(minutes=70)
        assert f"{name} 4200.0" in client.get("/metrics").content.decode()


def test_metrics_tell_when_the_last_backup_was_made(client, heart) -> None:
    assert "kmes_backup_last_seconds 0.0" in client.get("/metrics").content.decode()
    at = record("backup.made", actor=SYSTEM).at.timestamp()
    text = client.get("/metrics").content.decode()
    (line,) = [line for line in text.splitlines() if line.startswith("kmes_backup_last_seconds ")]
    assert float(line.split()[1]) == pytest.approx(at, abs=1)


def test_a_scrape_stays_cheap(client, heart, django_assert_max_num_queries) -> None:
    beat(heart)
    with django_assert_max_num_queries(20):
        assert client.get("/metrics").status_code == 200


def test_metrics_count_jobs_rows_and_rotations(client, heart, device_row) -> None:
    beat(heart)
    Job.objects.create(kind="self_test", actor_name="a", trigger="user", run_after=now())
    record("azure.key_imported", actor=SYSTEM)
    record("azure.call_failed", actor=SYSTEM)
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'kmes_jobs{kind="self_test",state="queued"} 1.0' in lines
    assert 'kmes_azure_log_rows_last_hour{severity="error"} 1.0' in lines
    assert 'kmes_azure_log_rows_last_hour{severity="warning"} 0.0' in lines
    assert 'kmes_log_sequence{service="azure"} 2.0' in lines
    assert "kmes_rotations_late 0.0" in lines
    assert 'kmes_up{part="device"} 1.0' in lines


def test_metrics_tell_that_redis_is_down(client, no_redis) -> None:
    assert 'kmes_up{part="redis"} 0.0' in client.get("/metrics").content.decode()


@pytest.mark.parametrize(
    "asked_from",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.7"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer "},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer wrong"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer \u00fc"},
    ],
)
def test_metrics_are_not_for_strangers(client, heart, tmp_path, monkeypatch, asked_from) -> None:
    assert client.get("/metrics", **asked_from).status_code == 403
    token = tmp_path / "token"
    token.write_text("right-token\n")
    monkeypatch.setenv("KMES_METRICS_TOKEN_FILE", str(token))
    assert client.get("/metrics", **asked_from).status_code == 403
    token.write_text("\n")
    assert client.get("/metrics", **asked_from).status_code == 403


def test_metrics_are_for_who_has_the_token(client, heart, tmp_path, monkeypatch) -> None:
    token = tmp_path / "token"
    token.write_text("right-token\n")
    monkeypatch.setenv("KMES_METRICS_TOKEN_FILE", str(token))
    answer = client.get("/metrics", REMOTE_ADDR="192.0.2.7", HTTP_AUTHORIZATION="Bearer right-token")
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_read_only(client, path: str) -> None:
    assert client.post(path).status_code == 405
