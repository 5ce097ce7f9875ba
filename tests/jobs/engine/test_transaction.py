"""What a run writes, it writes in one transaction that its claim guards."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.engine import lifecycle
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.steps import end_deferred
from jobs.journal.intents import announce, resolve_all
from jobs.models import Job
from logging_reports.models import LogEntry
from logging_reports.services import Draft
from tests.jobs.builders import messages
from tests.jobs.pages.browsing import group, make_job, people

__all__ = ["group", "people"]
pytestmark = pytest.mark.django_db(transaction=True)


class Mishap(Exception):
    pass


@pytest.fixture
def run(group):
    job = make_job(group, kind="check_drift", state="queued", azure_lock="")
    claim = lifecycle.claim(job.pk, owner="worker")
    assert claim is not None
    return JobRun(Job.objects.get(pk=job.pk), claim)


@pytest.mark.parametrize(
    "use",
    [
        lambda tx: tx.job,
        lambda tx: tx.claim,
        lambda tx: tx.add_message("late"),
        lambda tx: tx.log("azure.drift_found", "late"),
        lambda tx: tx.begin_step("compare"),
        lambda tx: tx.end_step("compare"),
        lambda tx: tx.show_progress("compare", "late"),
        lambda tx: tx.fail_running_steps("late"),
        lambda tx: tx.record_results([], "done"),
        lambda tx: announce(tx, "update"),
        lambda tx: resolve_all(tx, [], "void"),
    ],
)
def test_a_transaction_can_not_be_used_after_its_block(run, use):
    with run.write() as tx:
        use(tx)
    with pytest.raises(RuntimeError, match="has ended"):
        use(tx)


def test_a_transaction_that_failed_can_not_be_used_either(run):
    with pytest.raises(Mishap), run.write() as tx:
        raise Mishap
    with pytest.raises(RuntimeError, match="has ended"):
        tx.add_message("late")


def test_rows_of_a_deferred_change_are_written_with_the_others_in_the_order_of_the_logs(run):
    """Each log's head stays locked until the commit: in another order two jobs could wait for each other at PostgreSQL."""

    def change():
        Job.objects.filter(pk=run.job.pk).update(subject="changed")
        return [Draft(event="azure.kek_purge_not_needed", actor=run.actor, message="stays deleted")]

    run.store_with_next(change)
    with CaptureQueriesContext(connection) as queries, run.write() as tx:
        tx.log("job.cancelled", "ended")
    heads = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "loghead" in query["sql"]]
    locked = dict.fromkeys(service for sql in heads for service in ("audit", "azure") if f"'{service}'" in sql)
    assert list(locked) == ["audit", "azure"]
    assert LogEntry.objects.filter(message__in=["stays deleted", "ended"]).count() == 2


def test_of_foreign_texts_what_no_column_can_keep_is_shown_as_a_mark(run):
    with run.write() as tx:
        tx.add_message("Found vault kv\0\ud800")
        tx.begin_step("compare", "first\0")
        tx.show_progress("compare", "half\0")
        tx.fail_running_steps("why\0")
        job = tx.job
    assert messages(job) == ["Found vault kv\ufffd\ufffd"]
    assert list(job.steps.values_list("detail", flat=True)) == ["why\ufffd"]


def test_deferred_writes_come_first_and_log_rows_last(run):
    run.log_deferred("azure.drift_found", "logged before")
    run.defer(lambda tx: tx.add_message("deferred"))
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        run.write() as tx,
    ):
        tx.log("azure.drift_found", "logged inside")
        tx.add_message("written")
    assert messages(run.job)[-2:] == ["deferred", "written"]
    written = [query["sql"].split('"')[1] for query in queries if query["sql"].startswith("INSERT")]
    assert written[:2] == ["jobs_jobmessage", "jobs_jobmessage"]
    assert "logging_reports_logentry" in written[2:]
    rows = LogEntry.objects.filter(job_id=run.job.pk).order_by("sequence")
    assert list(rows.values_list("message", flat=True)) == ["logged before", "logged inside"]


def test_what_waits_for_a_transaction_survives_one_that_rolls_back(run):
    run.log_deferred("azure.drift_found", "the vault was asked")
    end_deferred(run, "compare")
    with pytest.raises(Mishap), run.write() as tx:
        tx.add_message("lost")
        raise Mishap
    with run.write():
        pass
    assert "lost" not in messages(run.job)
    assert run.job.steps.get().state == "done"
    assert LogEntry.objects.filter(job_id=run.job.pk, message="the vault was asked").count() == 1
    with run.write():
        pass
    assert LogEntry.objects.filter(job_id=run.job.pk).count() == 1
    assert run.job.steps.count() == 1


def test_a_log_row_of_a_transaction_is_dropped_with_it(run):
    with pytest.raises(Mishap), run.write() as tx:
        tx.log("azure.drift_found", "what was rolled back")
        raise Mishap
    with run.write():
        pass
    assert not LogEntry.objects.filter(job_id=run.job.pk).exists()


def test_a_run_whose_claim_was_lost_writes_nothing(run):
    Job.objects.filter(pk=run.job.pk).update(fence=run.claim.fence + 1)
    with pytest.raises(LeaseLost), run.write() as tx:
        tx.add_message("of a stale worker")
    assert "of a stale worker" not in messages(run.job)
