"""Hints to the workers, sent to a broker that answers nothing."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import transaction

from jobs.engine import hints
from kmes.celery import app


class SilentBroker:
    """Takes connections and never says a word, like a Redis that is frozen."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._listening.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        # Only a shutdown wakes the thread that waits for the next connection.
        self._listening.shutdown(socket.SHUT_RDWR)
        for each in (self._listening, *self.taken):
            each.close()


@pytest.fixture
def silent(monkeypatch) -> Iterator[SilentBroker]:
    broker = SilentBroker()
    monkeypatch.setattr(app.conf, "broker_write_url", f"redis://127.0.0.1:{broker.port}/0")
    # Its connections are opened to the address it was made with.
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setattr(hints.Pause, "until", 0.0)
    yield broker
    broker.close()


def test_a_page_waits_for_a_silent_broker_once_and_not_at_the_next_hints(silent):
    for _hint in range(3):
        hints.send(uuid4())
    assert len(silent.taken) == 1


@pytest.mark.django_db(transaction=True)
def test_a_hint_for_later_is_sent_after_the_commit_when_its_time_has_come(monkeypatch):
    job_id, sent = uuid4(), queue.Queue()
    monkeypatch.setattr(hints, "send", sent.put)
    with transaction.atomic():
        hints.send_after_commit(job_id, seconds=0.01)
        with pytest.raises(queue.Empty):
            sent.get(timeout=0.05)
    assert sent.get(timeout=60) == job_id
