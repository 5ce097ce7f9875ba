"""Somebody who writes to Redis: gets no code run, opens no connection, and silences nothing for good."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time

import pytest
import redis
from celery.contrib.testing.worker import start_worker
from rq import Queue

from jobs.models import Job
from kmes.celery import app
from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.changes import KEY_PREFIX
from logging_reports import report_queue, rq_jobs
from logging_reports.models import LogExport
from logging_reports.notices import queue as notice_queue
from logging_reports.selectors import LogFilter
from logging_reports.services import Draft, record_many
from tests.logging_reports.report_running import open_queue, run_reports
from tests.rules.repository import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
ANN = Actor("ann", Trigger.USER, 7)


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def broker(redis_server):
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield client
        client.flushdb()


def push(broker, data: bytes, **fields) -> None:
    """Put a message into the report queue as its bytes."""
    broker.hset("rq:job:forged", mapping={"data": data, "status": "queued", "origin": "reports", **fields})
    broker.rpush("rq:queue:reports", "forged")


def request_export() -> LogExport:
    record_many([Draft(event="azure.probe", actor=SYSTEM, message="row")])
    return rq_jobs.request_export(LogFilter(service="azure"), form="csv", actor=ANN)


def is_written(export: LogExport) -> bool:
    export.refresh_from_db()
    return export.state == "ready"


@pytest.fixture(autouse=True)
def export_folder(settings, tmp_path):
    settings.KMES_EXPORT_DIR = tmp_path / "exports"


def test_a_message_that_names_a_function_of_python_runs_nothing(broker, tmp_path):
    mark = tmp_path / "mark"
    Queue("reports", connection=broker).enqueue("os.mkdir", str(mark))
    Queue("reports", connection=broker, serializer="json").enqueue("os.mkdir", str(mark))
    push(broker, json.dumps(["os.mkdir", None, [str(mark)], {}]).encode())
    export = request_export()
    run_reports(broker)
    assert not mark.exists()
    assert is_written(export)


def test_a_message_that_is_a_pickle_is_not_unpickled(broker, tmp_path):
    mark = tmp_path / "mark"
    push(broker, pickle.dumps(("run_export", None, (Touch(mark),), {})), meta=pickle.dumps(Touch(mark)))
    run_reports(broker)
    assert not mark.exists()


@pytest.mark.parametrize("moment", ["success", "failure", "stopped"])
def test_a_message_of_a_real_task_brings_no_callback_with_it(broker, tmp_path, moment):
    export = request_export()
    (job_id,) = open_queue(broker).get_job_ids()
    broker.hset(f"rq:job:{job_id}", f"{moment}_callback_name", "os.mkdir")
    assert getattr(open_queue(broker).fetch_job(job_id), f"{moment}_callback") is None
    run_reports(broker)
    assert is_written(export)


def test_a_message_brings_no_webhook_no_repeat_and_no_dependent_with_it(broker):
    request_export()
    (job_id,) = open_queue(broker).get_job_ids()
    hook = [{"url": "http://127.0.0.1:9/", "statuses": ["finished"]}]
    forged = {"webhooks": json.dumps(hook), "repeats_left": 9, "retries_left": 9, "timeout": -1, "result_ttl": -1}
    broker.hset(f"rq:job:{job_id}", mapping={**forged, "dependency_ids": '["other"]', "group_id": "g"})
    job = open_queue(broker).fetch_job(job_id)
    assert (job.webhooks, job.repeats_left, job.retries_left, job._dependency_ids) == ([], None, None, [])
    assert (job.timeout, job.result_ttl, job.group_id) == (3600, 0, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 1000,
        b"null",
        b'["run_export"]',
        b'[["run_export"], null, [], {}]',
        b'["run_export", {"a": 1}, ["x"], {}]',
        b'["run_export", null, ["x"], {"export_id": "y"}]',
        b'["run_export", null, [["x"]], {}]',
        b'["run_export", null, ["' + b"x" * 900 + b'"], {}]',
        b'["_run", null, ["x"], {}]',
        b'["prune_exports", null, [], {}]',
        b"x" * 100_000,
    ],
)
def test_a_message_of_any_other_form_is_passed_over(broker, data):
    push(broker, data)
    export = request_export()
    run_reports(broker)
    assert is_written(export)


def test_a_queue_entry_that_is_no_id_and_a_message_of_another_type_are_passed_over(broker):
    broker.rpush("rq:queue:reports", b"\xff\xff", "../../etc", "string")
    broker.set("rq:job:string", "no hash")
    export = request_export()
    run_reports(broker)
    assert is_written(export)


def test_keys_of_another_type_do_not_stop_the_report_worker(broker):
    for key in ("rq:workers", "rq:workers:reports", "rq:queues", "rq:wip:reports", "rq:queue:reports"):
        broker.set(key, "no set, no list")
    run_reports(broker)
    export = request_export()
    run_reports(broker)
    assert is_written(export)


def test_a_suspension_without_end_does_not_stop_the_report_worker(broker):
    broker.set("rq:suspended", "1")
    export = request_export()
    run_reports(broker)
    assert is_written(export)


def test_the_command_of_the_installation_runs_the_same_worker(broker, tmp_path, redis_server):
    mark = tmp_path / "mark"
    Queue("reports", connection=broker).enqueue("os.mkdir", str(mark))
    environment = {**os.environ, "KMES_REDIS_URL": redis_server}
    command = [sys.executable, "manage.py", "rqworker", "reports", "--burst", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not mark.exists()
    assert broker.llen("rq:queue:reports") == 0


def test_a_mark_without_expiry_silences_no_mail_and_no_webhook(broker):
    for forged in ({}, {"ex": 10**9}):
        broker.set("kmes:notices:hint", "1", **forged)
        notice_queue.hint()
        assert [job.func_name for job in open_queue(broker).jobs] == ["run_deliveries"]
        assert 0 < broker.ttl("kmes:notices:hint") <= 60
        notice_queue.hint()
        assert broker.llen("rq:queue:reports") == 1
        open_queue(broker).empty()


def test_a_mark_of_another_type_silences_nothing(broker):
    broker.rpush("kmes:notices:hint", "a list")
    notice_queue.hint()
    assert broker.llen("rq:queue:reports") == 1


def test_a_worker_of_jobs_listens_to_no_remote_control(broker):
    """One order could have it take no more messages, while its heartbeat goes on."""
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        assert not [channel for channel in broker.pubsub_channels() if b"pidbox" in channel]
        assert broker.keys("*pidbox*") == []


def test_only_registered_functions_are_tasks(broker):
    with pytest.raises(KeyError):
        report_queue.enqueue(os.remove, "1")
    assert broker.keys("rq:*") == []


@pytest.mark.parametrize("kind", ["long", "list", "markup"])
def test_a_forged_mark_of_changes_makes_pages_look_once_more_and_nothing_else(broker, client, django_user_model, kind):
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    poll = {"HTTP_X_KMES_POLL": "1"}
    seen = client.get("/changes/", **poll).json()["seen"]
    key = f"{KEY_PREFIX}jobs"
    if kind == "list":
        broker.rpush(key, *range(1000))
    else:
        broker.set(key, "x" * 50_000_000 if kind == "long" else '"><script>')
    answer = client.get(f"/changes/?seen={seen}", **poll)
    assert len(answer.content) < 300
    assert b"script" not in answer.content
    assert set(answer.json()["changed"]) <= {"jobs"}
    # The next change puts a mark in its place.
    before = answer.json()["seen"]
    LogExport.objects.update(state="ready")
    Job.objects.update(subject="changed")
    deadline = time.monotonic() + 30
    while client.get(f"/changes/?seen={before}", **poll).json()["changed"] != ["jobs", "reports"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
