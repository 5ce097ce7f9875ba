"""Which rows changed last: a mark in Redis for each topic, which open pages watch.

Whatever process commits a change to a table of a topic gives the topic's mark another value. A mark is a hint: it says that
something changed, never what. Whoever can write to Redis can make pages look once more, or look late.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.db import models, transaction
from django.db.backends.signals import connection_created
from redis.backoff import NoBackoff
from redis.retry import Retry

from kmes.core.redis_connection import connect as connect_to_redis

KEY_PREFIX = "kmes:changes:"
TOPICS = ("jobs", "keys", "notices", "log", "reports")
TIMEOUT_SECONDS = 0.5
# A job commits many times a second; its changes share a mark.
SPACING_SECONDS = 0.02
# After a failure Redis is left alone for so long: a frozen one would cost every page its time-out.
PAUSE_SECONDS = 5.0
EXIT_SECONDS = 0.5
# A mark is 16 characters; more is not read, whoever wrote it.
MARK_BYTES = 32

_WRITE = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
_topic_of_table: dict[str, str] = {}


def watch(topic: str, *watched: type[models.Model]) -> None:
    """Let changes of these models' rows count for a topic. Apps call it when they are loaded.

    Raises:
        ValueError: there is no such topic.

    """
    if topic not in TOPICS:
        message = f"no topic: {topic}"
        raise ValueError(message)
    _topic_of_table.update(dict.fromkeys(map(_table_of, watched), topic))


def topic_of(model: type[models.Model]) -> str:
    """Return the topic that a model's rows count for, "" for none."""
    return _topic_of_table.get(_table_of(model), "")


def _table_of(model: type[models.Model]) -> str:
    return model._meta.db_table  # noqa: SLF001 - Django documents it


def connect() -> None:
    """Look at each write of every connection to the database; safe to call again."""
    connection_created.connect(_look_at_writes, dispatch_uid="kmes.changes")


def _look_at_writes(connection: Any, **_options: Any) -> None:
    # At the beginning: Django takes the last one for that of a ``with`` statement.
    if _note_write not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _note_write)


def _note_write(execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: dict[str, Any]) -> Any:
    """Execute a statement; one that writes to a watched table announces the change once it is committed."""
    result = execute(sql, params, many, context)
    written = _WRITE.match(sql) if isinstance(sql, str) else None
    topic = _topic_of_table.get(written[1]) if written else None
    if topic:
        transaction.on_commit(partial(_sender.add, topic), using=context["connection"].alias, robust=True)
    return result


# --- Writing marks ---------------------------------------------------------------------------
class _Redis:
    """The client of this process, and until when a Redis that failed is left alone."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self._url = ""
        self._paused_until = 0.0

    def ask(self, question: Callable[[redis.Redis], Any]) -> Any:
        """Return what Redis answers; None when it doesn't, or didn't a moment ago."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            if self._client is None or self._url != settings.KMES_REDIS_URL:
                self._client = connect_to_redis(seconds=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 1))
                self._url = settings.KMES_REDIS_URL
            return question(self._client)
        except (redis.RedisError, OSError):
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            return None


class _Sender:
    """Sets marks from a thread of its own: no transaction and no page waits for Redis."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the thread and what it holds: a forked process has neither."""
        self._redis = _Redis()
        self._topics: set[str] = set()
        self._is_sending = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, topic: str) -> None:
        """Have the topic's mark set soon."""
        with self._changed:
            self._topics.add(topic)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kmes-changes", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait_until_sent(self, seconds: float) -> None:
        """Wait until nothing is left to be sent, but not longer than so."""
        with self._changed:
            self._changed.wait_for(lambda: not self._topics and not self._is_sending, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._topics)
                topics, self._topics, self._is_sending = self._topics, set(), True
            marks = {f"{KEY_PREFIX}{topic}": os.urandom(8).hex() for topic in topics}
            is_set = self._redis.ask(partial(_set, marks))
            with self._changed:
                self._is_sending = False
                if not is_set:
                    self._topics |= topics
                self._changed.notify_all()
            time.sleep(SPACING_SECONDS if is_set else PAUSE_SECONDS)


def _set(marks: dict[str, str], client: redis.Redis) -> Any:
    return client.mset(marks)


_sender = _Sender()
os.register_at_fork(after_in_child=_sender.begin_anew)


@atexit.register
def _send_the_rest() -> None:
    """Let the marks of a command that ends be set."""
    _sender.wait_until_sent(EXIT_SECONDS)


# --- Reading marks ---------------------------------------------------------------------------
_reader = _Redis()


@dataclass(frozen=True)
class Marks:
    """The marks of some topics."""

    topics: tuple[str, ...]

    def read(self) -> str:
        """Return a word that is another one when something changed; "" when Redis doesn't answer."""
        values = _reader.ask(self._ask)
        return "-".join(_short(value) for value in values) if values else ""

    def _ask(self, client: redis.Redis) -> list[bytes]:
        pipeline = client.pipeline(transaction=False)
        for topic in self.topics:
            pipeline.getrange(f"{KEY_PREFIX}{topic}", 0, MARK_BYTES - 1)
        # A value of another kind than text is no mark; whoever sets the next one replaces it.
        return [value if isinstance(value, bytes) else b"" for value in pipeline.execute(raise_on_error=False)]

    def changed(self, seen: str, present: str) -> list[str]:
        """Return the topics whose marks differ between two words; all when a word can't be compared."""
        before, after = seen.split("-"), present.split("-")
        if len(before) != len(self.topics) or len(after) != len(self.topics):
            return list(self.topics)
        pairs: Iterable[tuple[str, str, str]] = zip(self.topics, before, after, strict=True)
        return [topic for topic, old, new in pairs if old != new]


def _short(value: bytes) -> str:
    # What stands in Redis may be anybody's text; pages get a hash of it.
    return hashlib.blake2s(value, digest_size=5).hexdigest()
