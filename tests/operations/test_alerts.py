"""docs/alerts.md names only metrics that exist, and says of each alert what it means and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.models import Job, JobStep
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.forwarding import destinations
from logging_reports.forwarding.choices import Start
from logging_reports.services import record
from tests.logging_reports.forwarding import values as destination_values

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "alerts.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| alert")
]


@pytest.fixture
def families(client, db, redis_server) -> set[str]:
    """The names /metrics gives, with something of each kind that is counted, so that none is left out."""
    moment = now()
    job = Job.objects.create(kind="rotate", actor_name="a", trigger="user", run_after=moment)
    JobStep.objects.create(job=job, name="wrap_key", ordinal=1, started_at=moment, finished_at=moment)
    record("azure.throttled", actor=SYSTEM, http_status=429)
    record("device.self_test", actor=SYSTEM)
    destinations.add_destination(destination_values(), start=Start.NOW, actor=SYSTEM)
    text = client.get("/metrics").content.decode()
    return set(re.findall(r"^(kmes_[a-z0-9_]+)", text, re.MULTILINE))


def test_every_metric_that_is_named_exists(families):
    named = set(re.findall(r"\bkmes_[a-z0-9_]+", TEXT))
    assert len(named) > 20
    assert named - families == set()


def test_every_metric_stands_in_some_alert_or_its_advice(families):
    plain = {re.sub(r"_(bucket|gcount|gsum)$", "", name) for name in families}
    named = {re.sub(r"_(bucket|gcount|gsum)$", "", name) for name in re.findall(r"\bkmes_[a-z0-9_]+", TEXT)}
    assert plain - named == set()


def test_each_alert_has_its_five_parts():
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 5, row
        assert all(row), row
        assert row[1].startswith("`"), row


def test_the_label_values_in_expressions_are_ones_that_are_given(client, db, redis_server):
    text = client.get("/metrics").content.decode()
    for name, label, value in re.findall(r'(kmes_(?:up|queue_depth))\{(\w+)="(\w+)"', TEXT):
        assert f'{name}{{{label}="{value}"}}' in text
