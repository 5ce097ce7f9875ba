"""Metrics for monitoring, counted from our rows at each scrape. Holds no state.

Rows, unlike counters in memory, give the same numbers in every web process and on every host.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, Sum
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.choices import FAILED_STATES
from jobs.models import Job, JobStep
from jobs.schedule.clock_guard import read_clock
from kmes.core.clock import now
from kmes.core.schema import Fit, check_fit
from kmes.dashboard import forwarding_metrics
from kmes.dashboard.attention.facts import keks_left_over
from kmes.dashboard.heartbeats import QUEUES, Heartbeats
from kmes.dashboard.queue_health import orphaned_jobs, queued_age_seconds
from kmes.dashboard.selectors import count_rotations, count_versions
from logging_reports.checkpoints import find_newest
from logging_reports.choices import Category, Service, Severity
from logging_reports.models import LogEntry, LogHead

STEP_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


def _hour_ago() -> datetime:
    return now() - timedelta(hours=1)


class ConsoleCollector(Collector):
    """Collects once, for one scrape."""

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats

    def collect(self) -> Iterator[Metric]:
        """Yield all families; raises DatabaseError when the database can't be read."""
        yield from self._parts()
        yield from self._jobs()
        yield self._steps()
        yield from self._azure()
        yield self._device()
        yield from self._rotations()
        yield from self._log_heads()
        yield self._last_checkpoint()
        yield from forwarding_metrics.collect()
        yield self._last_backup()

    def _parts(self) -> Iterator[Metric]:
        heartbeats = self._heartbeats
        family = GaugeMetricFamily("kmes_up", "Whether a part of the console serves (1) or not (0)", labels=["part"])
        family.add_metric(["redis"], int(heartbeats.redis_up))
        family.add_metric(["worker"], int(bool(heartbeats.fit_workers)))
        family.add_metric(["beat"], int(heartbeats.beat_alive))
        family.add_metric(["device"], int(heartbeats.device == "ok"))
        family.add_metric(["schema"], int(check_fit() == Fit.OK))
        yield family
        yield GaugeMetricFamily("kmes_workers", "Cloud workers that reported lately", value=len(heartbeats.workers))
        yield GaugeMetricFamily(
            "kmes_workers_unfit",
            "Cloud workers that take no job, because the schema isn't their release's",
            value=len(heartbeats.workers) - len(heartbeats.fit_workers),
        )
        depth = GaugeMetricFamily("kmes_queue_depth", "Messages waiting in the broker", labels=["queue"])
        for name in QUEUES:
            depth.add_metric([name], heartbeats.queues.get(name, 0))
        yield depth
        yield GaugeMetricFamily(
            "kmes_reports_failed", "Jobs of the report worker that failed", value=heartbeats.failed_reports
        )

    def _jobs(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("kmes_jobs", "Jobs by kind and state", labels=["kind", "state"])
        for kind, state, count in Job.objects.order_by().values_list("kind", "state").annotate(count=Count("pk")):
            family.add_metric([kind, state], count)
        yield family
        yield GaugeMetricFamily(
            "kmes_job_queued_age_seconds",
            "How long the oldest job that may run has been waiting",
            value=queued_age_seconds(),
        )
        yield GaugeMetricFamily(
            "kmes_jobs_orphaned",
            "Due jobs of a kind that no living worker knows",
            value=orphaned_jobs(self._heartbeats),
        )
        yield GaugeMetricFamily(
            "kmes_jobs_failed_last_hour",
            "Jobs that ended in failure, wholly or in part, in the last hour",
            value=Job.objects.filter(state__in=FAILED_STATES, finished_at__gte=_hour_ago()).count(),
        )
        yield GaugeMetricFamily(
            "kmes_keks_left_over", "Ephemeral KEKs in a vault whose job has ended", value=keks_left_over().count()
        )

    def _steps(self) -> Metric:
        """Count the steps that ended in the last hour by how long they took: a histogram made of rows."""
        family = GaugeHistogramMetricFamily(
            "kmes_step_seconds", "How long the steps took that ended in the last hour", labels=["step"]
        )
        took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
        # The job's age has an index, and its steps end soon after it was created.
        recent = JobStep.objects.filter(job__created_at__gte=now() - timedelta(days=1), finished_at__gte=_hour_ago())
        counts = {
            f"le_{number}": Count("pk", filter=Q(took__lte=timedelta(seconds=limit)))
            for number, limit in enumerate(STEP_SECONDS)
        }
        rows = recent.annotate(took=took).order_by("name").values("name")
        # The annotations have computed names, which the type checker's plugin can't follow.
        found: Any = rows.annotate(total=Count("pk"), spent=Sum("took"), **counts)
        for row in found:
            buckets = [(str(limit), row[f"le_{number}"]) for number, limit in enumerate(STEP_SECONDS)]
            family.add_metric([row["name"]], [*buckets, ("+Inf", row["total"])], row["spent"].total_seconds())
        return family

    def _azure(self) -> Iterator[Metric]:
        rows = LogEntry.objects.filter(service=Service.AZURE, at__gte=_hour_ago()).order_by()
        family = GaugeMetricFamily(
            "kmes_azure_log_rows_last_hour", "Azure Service log rows of the last hour", labels=["severity"]
        )
        counts = dict(rows.values_list("severity").annotate(count=Count("pk")))
        for severity in Severity.values:
            family.add_metric([severity], counts.get(severity, 0))
        yield family
        calls = GaugeMetricFamily(
            "kmes_azure_calls_last_hour", "Calls to Azure of the last hour by HTTP status", labels=["status"]
        )
        answered = dict(rows.filter(http_status__isnull=False).values_list("http_status").annotate(count=Count("pk")))
        for status, count in sorted(answered.items()):
            calls.add_metric([str(status)], count)
        yield calls
        yield GaugeMetricFamily(
            "kmes_azure_throttled_last_hour",
            "Calls of the last hour that Azure refused for their pace (429)",
            value=answered.get(HTTPStatus.TOO_MANY_REQUESTS, 0),
        )

    def _device(self) -> Metric:
        family = GaugeMetricFamily(
            "kmes_device_log_rows_last_hour", "Device log rows of the last hour", labels=["event", "severity"]
        )
        rows = LogEntry.objects.filter(service=Service.DEVICE, at__gte=_hour_ago()).order_by()
        for event, severity, count in rows.values_list("event", "severity").annotate(count=Count("pk")):
            family.add_metric([event, severity], count)
        return family

    def _rotations(self) -> Iterator[Metric]:
        counts, watch = count_rotations(), read_clock()
        yield GaugeMetricFamily("kmes_rotations_late", "Key groups whose rotation is overdue", value=counts.late)
        yield GaugeMetricFamily(
            "kmes_rotations_due_7_days", "Key groups whose rotation falls due within 7 days", value=counts.soon
        )
        yield GaugeMetricFamily(
            "kmes_groups_drifting", "Key groups that differ from their vault", value=counts.drifting
        )
        yield GaugeMetricFamily(
            "kmes_versions_missing", "Versions that their vault does not hold any more", value=count_versions().missing
        )
        yield GaugeMetricFamily(
            "kmes_schedule_held", "Whether scheduled rotations are held (1)", value=int(watch.held_since is not None)
        )
        age = (now() - watch.last_tick_at).total_seconds() if watch.last_tick_at else 0.0
        yield GaugeMetricFamily("kmes_schedule_last_look_seconds", "Since the schedule last looked", value=age)

    def _log_heads(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("kmes_log_sequence", "Number of the last row of each log", labels=["service"])
        # With the hash, the monitoring's own records show later whether the log was changed.
        heads = GaugeMetricFamily("kmes_log_head", "The last row of each log, by its hash", labels=["service", "hash"])
        for service, sequence, digest in LogHead.objects.order_by("service").values_list("service", "sequence", "hash"):
            family.add_metric([service], sequence)
            heads.add_metric([service, digest], sequence)
        yield family
        yield heads

    def _last_checkpoint(self) -> Metric:
        newest = find_newest()
        return GaugeMetricFamily(
            "kmes_log_checkpoint_age_seconds",
            "How old the last signed checkpoint of the log is; infinite while there is none",
            value=(now() - newest.at).total_seconds() if newest else float("inf"),
        )

    def _last_backup(self) -> Metric:
        rows = LogEntry.objects.filter(service=Service.AUDIT, category=Category.CONFIGURATION, event="backup.made")
        at = rows.order_by("-sequence").values_list("at", flat=True).first()
        return GaugeMetricFamily(
            "kmes_backup_last_seconds",
            "When the last backup was made, in seconds since 1970; 0: never",
            value=at.timestamp() if at else 0.0,
        )
