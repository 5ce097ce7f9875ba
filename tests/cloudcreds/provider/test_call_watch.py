"""The watch over waiting calls: the time a call may take in all, and being given up on request."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from cloudcreds.provider import call_watch
from cloudcreds.provider.call_watch import GivenUp

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair():
    """Two ends of a connection; nobody writes to the second one."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def wait_for_answer(connected):
    began = time.monotonic()
    assert connected.recv(1) == b""
    return time.monotonic() - began


def test_a_call_whose_time_is_over_loses_its_connection(pair):
    with call_watch.watched(0.3) as watch:
        watch.sending(pair[0])
        assert wait_for_answer(pair[0]) < 30
    assert watch.given_up is GivenUp.OUT_OF_TIME


def test_a_call_is_given_up_when_its_job_should_stop(pair):
    asked = threading.Event()
    with call_watch.watched(60, lambda _lasted: asked.is_set()) as watch:
        watch.sending(pair[0])
        threading.Timer(0.2, asked.set).start()
        assert wait_for_answer(pair[0]) < 30
    assert watch.given_up is GivenUp.STOPPED


def test_a_body_that_drips_does_not_prolong_the_time(pair):
    done = threading.Event()

    def drip():
        while not done.wait(0.05):
            try:
                pair[1].send(b"x")
            except OSError:
                return

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with call_watch.watched(0.5) as watch:
        watch.sending(pair[0])
        while pair[0].recv(1):
            pass
    done.set()
    assert time.monotonic() - began < 30
    assert watch.given_up is GivenUp.OUT_OF_TIME


def test_a_question_that_fails_leaves_the_call_alone(pair):
    def broken(_lasted):
        raise RuntimeError

    with call_watch.watched(1.5, broken) as watch:
        watch.sending(pair[0])
        wait_for_answer(pair[0])
    assert watch.given_up is GivenUp.OUT_OF_TIME


def test_a_finished_call_is_watched_no_more():
    with call_watch.watched(60) as watch:
        assert call_watch.current() is watch
    assert call_watch.current() is None
    assert watch not in call_watch._watcher._watches
