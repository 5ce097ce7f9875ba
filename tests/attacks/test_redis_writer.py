"""Somebody who writes to Redis: gets no code run, opens no connection, and silences nothing for good."""

from __future__ import annotations

import base64
import bz2
import json
import logging
import os
import pickle
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import redis
from celery.contrib.testing.worker import start_worker
from rq import Queue

from jobs.models import Job
from kmes.celery import app
from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.changes import KEY_PREFIX
from kmes.dashboard.heartbeats import read_heartbeats
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


@contextmanager
def worker_of_jobs():
    """Celery's worker in this process. It sets the level of the root logger, which other tests rely on."""
    root = logging.getLogger()
    level = root.level
    try:
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
            yield
    finally:
        root.setLevel(level)


def test_a_worker_of_jobs_listens_to_no_remote_control(broker):
    """One order could have it take no more messages, while its heartbeat goes on."""
    with worker_of_jobs():
        assert not [channel for channel in broker.pubsub_channels() if b"pidbox" in channel]
        assert broker.keys("*pidbox*") == []


def hint(task="jobs.tasks.run_job", arguments=("7",), rest=None, **headers) -> str:
    """A message as the web process leaves it in the queue, with headers and a rest of the attacker's."""
    body = base64.b64encode(json.dumps([list(arguments), {}, rest or {}]).encode()).decode()
    headers = {"lang": "py", "task": task, "id": "x", "root_id": "x", "parent_id": None, "group": None, **headers}
    place = {"exchange": "", "routing_key": "cloud"}
    properties = {"delivery_info": place, "delivery_tag": "t", "body_encoding": "base64", "priority": 0}
    kind = {"content-type": "application/json", "content-encoding": "utf-8"}
    return json.dumps({"body": body, **kind, "headers": headers, "properties": properties})


FORGED_ENTRIES = {
    "no JSON": "no message",
    "no text": b"\xff\xfe",
    "a list": "[1, 2]",
    "nested": "[" * 5000,
    "a type of kombu": '{"__type__": "decimal", "__value__": []}',
    "no properties": '{"body": "", "headers": {}}',
    "a task that is no name": hint(task={"a": 1}),
    "a task of Celery": hint(task="celery.starmap", arguments=("jobs.tasks.run_job", [])),
    "a time limit that is none": hint(timelimit="abc"),
    "a bomb": hint(compression="bzip2").replace(
        '"body": "', f'"body": "{base64.b64encode(bz2.compress(bytes(10**7))).decode()}'
    ),
    "callbacks": hint(rest={"callbacks": [{"task": "jobs.tasks.remind", "args": []}], "chord": {"task": "x"}}),
}


@pytest.mark.parametrize("kind", FORGED_ENTRIES)
def test_an_entry_that_is_no_hint_does_not_end_the_worker_of_jobs(broker, kind, monkeypatch):
    """Each of these ended Celery's worker, or would: a thousand of them would keep it away for hours."""
    seen = []
    monkeypatch.setattr(app.tasks["jobs.tasks.run_job"], "run", seen.append)
    monkeypatch.setattr(app.tasks["jobs.tasks.remind"], "run", lambda: seen.append("callback"))
    for _each in range(20):
        broker.lpush("cloud", FORGED_ENTRIES[kind])
    broker.lpush("cloud", hint(arguments=("the next one",)))
    work_until(lambda: "the next one" in seen)
    assert "callback" not in seen


@pytest.mark.parametrize("key", ["cloud", "cloud\x06\x163", "_kombu.binding.cloud", "_kombu.binding_permanent.cloud"])
def test_a_key_of_another_type_silences_neither_senders_nor_the_worker_of_jobs(broker, key, monkeypatch):
    seen = []
    monkeypatch.setattr(app.tasks["jobs.tasks.run_job"], "run", seen.append)
    broker.set(key, "neither list nor set")
    with app.connection_for_write() as connection:
        app.send_task("jobs.tasks.run_job", ("sent",), retry=False, connection=connection)
    broker.lpush("cloud", hint(arguments=("found",)))
    work_until(lambda: set(seen) == {"sent", "found"})


def test_what_an_attacker_left_as_unacknowledged_ends_no_worker_of_jobs(broker, monkeypatch):
    seen = []
    monkeypatch.setattr(app.tasks["jobs.tasks.run_job"], "run", seen.append)
    broker.hset("unacked", "t", "no message")
    broker.set("unacked_index", "no set of any kind")
    broker.lpush("cloud", hint(arguments=("the next one",)))
    work_until(lambda: "the next one" in seen)


@pytest.mark.parametrize("key", ["kmes:heartbeat:worker:evil", "cloud", "rq:queue:reports", "rq:failed:reports"])
def test_no_key_makes_redis_look_away_or_is_read_in_full(broker, key, monkeypatch):
    broker.set(key, "x" * 20_000_000)
    if "heartbeat" in key:
        broker.rpush("kmes:heartbeat:worker:list", "x")
    broker.set("kmes:heartbeat:beat", "1", ex=60)
    read = []
    loads = json.loads
    monkeypatch.setattr("kmes.dashboard.heartbeats.json.loads", lambda text: read.append(len(text)) or loads(text))
    found = read_heartbeats()
    assert (found.redis_up, found.beat_alive) == (True, True)
    assert all(length <= 4096 for length in read)


def work_until(is_done) -> None:
    """Run the worker of jobs until something is so, or fail."""
    with worker_of_jobs():
        deadline = time.monotonic() + 30
        while not is_done():
            assert time.monotonic() < deadline, "the worker took nothing"
            time.sleep(0.05)


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
