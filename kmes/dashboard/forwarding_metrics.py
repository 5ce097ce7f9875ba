"""Metrics of log forwarding, counted from rows at each scrape like all others (``metrics``)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.forwarding.selectors import find_lags


def collect() -> Iterator[Metric]:
    """Yield how far behind each destination in use is, and whether it fails."""
    rows = GaugeMetricFamily(
        "kmes_forwarding_lag_rows", "Log rows that a destination has not got yet", labels=["destination"]
    )
    seconds = GaugeMetricFamily(
        "kmes_forwarding_lag_seconds",
        "Age of the oldest log row that a destination has not got",
        labels=["destination"],
    )
    failing = GaugeMetricFamily(
        "kmes_forwarding_failing", "Whether the last try to send to a destination failed (1)", labels=["destination"]
    )
    destinations = list(ForwardingDestination.objects.filter(is_enabled=True).order_by("name"))
    lags = find_lags(destinations)
    for each in destinations:
        rows.add_metric([each.name], lags[each.pk].rows)
        seconds.add_metric([each.name], lags[each.pk].seconds)
        failing.add_metric([each.name], int(each.failures > 0))
    yield rows
    yield seconds
    yield failing
