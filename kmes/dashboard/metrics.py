"""The numbers monitoring wants, counted from our rows at each scrape. Holds no state of its own.

Counting rows, instead of counters in memory, gives one truth for many web processes and hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.choices import JobState
from jobs.models import Job
from kmes.core.clock import now
from kmes.dashboard.heartbeats import Pulse
from kmes.dashboard.selectors import count_rotations, keks_left_over
from logging_reports.choices import Service, Severity
from logging_reports.models import LogEntry, LogHead


class ConsoleCollector(Collector):
    """Collects once, for one scrape."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all families; raises DatabaseError when the database can't be read."""
        yield self._up()
        yield from self._jobs()
        yield self._azure_rows()
        yield from self._rotations()
        yield self._log_heads()

    def _up(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("kmes_up", "Whether a part of the console serves (1) or not (0)", labels=["part"])
        pulse = self._pulse
        family.add_metric(["redis"], int(pulse.redis_up))
        family.add_metric(["worker"], int(bool(pulse.workers)))
        family.add_metric(["beat"], int(pulse.beat_alive))
        family.add_metric(["device"], int(pulse.device == "ok"))
        return family

    def _jobs(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("kmes_jobs", "Jobs by kind and state", labels=["kind", "state"])
        for kind, state, count in Job.objects.order_by().values_list("kind", "state").annotate(count=Count("pk")):
            family.add_metric([kind, state], count)
        yield family
        moment = now()
        oldest = Job.objects.filter(state=JobState.QUEUED, run_after__lte=moment).aggregate(at=Min("run_after"))["at"]
        age = (moment - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily(
            "kmes_job_queued_age_seconds", "How long the oldest job that may run has been waiting", value=age
        )
        yield GaugeMetricFamily(
            "kmes_keks_left_over", "Ephemeral KEKs in a vault whose job has ended", value=keks_left_over().count()
        )

    def _azure_rows(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "kmes_azure_log_rows_last_hour", "Azure Service log rows of the last hour", labels=["severity"]
        )
        rows = LogEntry.objects.filter(service=Service.AZURE, at__gte=now() - timedelta(hours=1))
        counts = dict(rows.order_by().values_list("severity").annotate(count=Count("pk")))
        for severity in Severity.values:
            family.add_metric([severity], counts.get(severity, 0))
        return family

    def _rotations(self) -> Iterator[GaugeMetricFamily]:
        counts = count_rotations()
        yield GaugeMetricFamily("kmes_rotations_late", "Key groups whose rotation is overdue", value=counts.late)
        yield GaugeMetricFamily(
            "kmes_rotations_due_7_days", "Key groups whose rotation falls due within 7 days", value=counts.soon
        )

    def _log_heads(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("kmes_log_sequence", "Number of the last row of each log", labels=["service"])
        for service, sequence in LogHead.objects.order_by("service").values_list("service", "sequence"):
            family.add_metric([service], sequence)
        return family
