"""No accident loses a key, doubles a version, leaves a KEK, skips a rotation or hides a failure.

``make test`` runs the short half; FAULTS=all runs every cell (``make faults`` prints them as a table).
"""

from __future__ import annotations

import os

import pytest

from tests.faults.accidents import Disturbance, all_cases, short_cases
from tests.faults.invariants import broken
from tests.faults.operations import OPERATIONS

CASES = all_cases() if os.environ.get("FAULTS") == "all" else short_cases()
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def hold(world, case, monkeypatch, settings):
    """Run one case to rest; returns what is broken, before and after the retry of a failed job."""
    disturbance = Disturbance(world, case, monkeypatch, settings)
    disturbance.arrange()
    job = OPERATIONS[case.operation].prepare(world)
    disturbance.strike(job)
    settings.KMES_FAILPOINTS = ""
    world.calm()
    world.rest(job)
    strangers = 1 if case.accident == "somebody else pushes" else 0
    found = broken(world, strangers=strangers)
    if case.operation == "delete" and case.accident == "somebody else pushes":
        # A deletion that would take somebody else's version with it is refused, however often it is asked for.
        return found if job.state == "failed" else [*found, f"I10 it ends {job.state}"]
    undone = job.targets.exclude(state="done").exists() or not job.targets.exists()
    if job.state in {"failed", "partly_failed"} and undone and not found:
        job = world.retry(job)
        found = broken(world, strangers=strangers)
    if job.state not in {"succeeded", "warned"} and undone and not found:
        found = [f"I4 a retry without any accident ends {job.state}: {job.error_what} {job.error_remedy}"]
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_holds(case, world, monkeypatch, settings):
    assert hold(world, case, monkeypatch, settings) == []
