"""Repeats of calls without effect, and their end when the job is to stop."""

from __future__ import annotations

import pytest

from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.errors import CloudError, CloudErrorKind


def refused(calls, kind=CloudErrorKind.THROTTLED):
    def call():
        calls.append(kind)
        raise CloudError(kind, "Too many requests.")

    return call


def test_a_job_that_is_to_stop_during_a_pause_does_not_call_again():
    calls, pauses = [], []
    backoff = Backoff(should_stop=lambda _lasted: bool(pauses), sleep=pauses.append)
    with pytest.raises(CloudError) as raised:
        backoff.call(refused(calls))
    assert (raised.value.kind, raised.value.what) == (CloudErrorKind.STOPPED, "Too many requests.")
    assert len(calls) == len(pauses) == 1


def test_the_pauses_count_to_the_time_that_a_call_has_lasted():
    asked = []
    backoff = Backoff(should_stop=lambda lasted: asked.append(lasted) or False, budget_seconds=2, sleep=lambda _s: None)
    with pytest.raises(CloudError):
        backoff.call(refused([]))
    assert asked == sorted(asked)
    assert asked[-1] > asked[0] >= 0


def test_a_call_that_used_up_its_time_is_not_repeated():
    calls = []
    with pytest.raises(CloudError) as raised:
        Backoff(sleep=lambda _s: None).call(refused(calls, CloudErrorKind.UNREACHABLE), is_over=lambda: len(calls) == 2)
    assert (raised.value.kind, len(calls)) == (CloudErrorKind.UNREACHABLE, 2)
