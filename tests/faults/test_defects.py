"""The matrix can fail: four deliberate defects, put in by the test alone, are each caught."""

from __future__ import annotations

import time

import pytest

from jobs.engine.run_log import RunLog
from jobs.journal import intents, kek_sweep
from jobs.kinds.push import cycle, earlier_calls
from kmes.core.clock import now
from tests.faults import accidents
from tests.faults.accidents import Case
from tests.faults.test_matrix import hold

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_a_blind_repeat_is_caught(world, monkeypatch, settings):
    """Without a look at the vault and without the quarantine, a late import makes a second version."""
    with pytest.MonkeyPatch.context() as defect:
        defect.setattr(earlier_calls, "_find_ours", lambda *_arguments: [])
        defect.setattr(earlier_calls, "wait_for_quarantine", lambda _intents: None)
        found = hold(world, Case("push one", "timeout, lands", "import_key"), monkeypatch, settings)
    assert any(sentence.startswith(("I1", "I2")) for sentence in found), found


def test_a_forgotten_kek_is_caught(world, monkeypatch, settings):
    """A job that doesn't clean up, and a sweep that looks at nothing, leave the KEK."""
    with pytest.MonkeyPatch.context() as defect:
        defect.setattr(cycle, "discard_job_keks", lambda _run: None)
        defect.setattr(kek_sweep, "sweep", lambda: 0)
        found = hold(world, Case("push one", "delivered twice", "push.after_import"), monkeypatch, settings)
    assert any(sentence.startswith("I8") for sentence in found), found


def test_an_effect_without_its_row_is_caught(world, monkeypatch, settings):
    """Rows that are dropped instead of written leave a version the log does not know."""
    with pytest.MonkeyPatch.context() as defect:
        defect.setattr(RunLog, "write", lambda log, _rows: log._waiting.clear())
        found = hold(world, Case("push one", "delivered twice", "push.after_import"), monkeypatch, settings)
    assert any(sentence.startswith("I9") for sentence in found), found


def test_a_quarantine_by_the_clock_is_caught(world, monkeypatch, settings):
    """Set ahead, it ends the quarantine of a call that has yet to land, and the key is imported again."""
    discard = cycle.discard_job_keks
    # Long enough for the next try to come before the landing on a machine under load too.
    lands_after, landed_after = 8, 9

    def discard_late(run):
        # Else the ephemeral key is gone, and with it the chance of the late call to do harm.
        time.sleep(landed_after)
        discard(run)

    with pytest.MonkeyPatch.context() as defect:
        defect.setitem(accidents.TIMEOUTS, "timeout, lands late", {"delay_ms": lands_after * 1000})
        defect.setattr(accidents, "LANDING_SECONDS", landed_after)
        defect.setattr(cycle, "discard_job_keks", discard_late)
        defect.setattr(intents, "seconds_since", lambda intent: (now() - intent.sent_at).total_seconds())
        found = hold(world, Case("push one", "lands late, clock ahead", "import_key"), monkeypatch, settings)
    assert any(sentence.startswith(("I1", "I2")) for sentence in found), found
