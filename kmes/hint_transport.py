"""Celery's way to Redis, which is not trusted: the worker reads a task's name and a job's id of a message, and nothing else.

Kombu ends the worker on an entry that is no message, on a header of a wrong type and on a key of another type, and keeps
messages that are not acknowledged in Redis, where a forged one ends it again at each start. Here such entries are
passed over, such keys are removed, and nothing is kept: a hint that is lost is sent again by the scan. Named by
``CELERY_BROKER_TRANSPORT``; knows neither tasks nor rows.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

from kombu.transport import redis

logger = logging.getLogger(__name__)
QUEUE = "cloud"
MAX_BODY_BYTES = 1024
MAX_ARGUMENT_LENGTH = 64
# At most one line of the log in this time: millions of entries may be skipped.
REPORTED_EVERY_SECONDS = 60
_TASK = re.compile(r"jobs\.tasks\.[a-z_]{1,40}")
T = TypeVar("T")


class NoHint(ValueError):
    """An entry of the queue is no hint that this console sends."""


def read_hint(entry: Any, queue: str) -> dict[str, Any]:
    """Return a message with the entry's task and argument, as Celery reads one (protocol 2), and nothing else of it.

    Callbacks, chords, time limits, an eta, an expiry, a compression and what else Celery would obey are left out.

    Raises:
        NoHint: the entry names no task of this console, or more than one id.

    """
    try:
        name, body = entry["headers"]["task"], entry["body"]
        if len(body) > MAX_BODY_BYTES:
            raise NoHint
        arguments, named, _rest = json.loads(base64.b64decode(body, validate=True))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise NoHint from error
    is_plain = named == {} and isinstance(arguments, list) and len(arguments) <= 1 and all(map(_is_id, arguments))
    if not is_plain or not isinstance(name, str) or not _TASK.fullmatch(name):
        raise NoHint
    made = str(uuid.uuid4())
    return {
        "body": base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": name, "id": made, "root_id": made, "parent_id": None, "group": None},
        "properties": {
            "correlation_id": made,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": made,
        },
    }


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ARGUMENT_LENGTH


class Channel(redis.Channel):  # type: ignore[misc]
    """Reads the queue past whatever else lies in it."""

    # Nothing is kept in Redis until it is acknowledged.
    ack_emulation = False
    _reported_at = float("-inf")

    def _brpop_read(self, **options: Any) -> Any:
        """Take the next message; an entry that is none is passed over.

        Raises:
            Empty: there was none.
            OSError: the connection broke; kombu connects again.

        """
        try:
            return super()._brpop_read(**options)
        except (Empty, *self.connection_errors):
            raise
        except self.ResponseError:
            if not self._remove_foreign_keys():
                raise
        except Exception as error:  # noqa: BLE001 - whatever an entry brings about, the next one may be a hint
            self._report(error)
        raise Empty

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        self._mended(lambda: super(Channel, self)._put(queue, message, **options))

    def _size(self, queue: str) -> int:
        return int(self._mended(lambda: super(Channel, self)._size(queue)))

    def _queue_bind(self, *arguments: Any) -> None:
        self._mended(lambda: super(Channel, self)._queue_bind(*arguments))

    def _mended(self, action: Callable[[], T]) -> T:
        """Do something with the queue; if a key of another type is in the way, remove it and do it again."""
        try:
            return action()
        except self.ResponseError:
            if not self._remove_foreign_keys():
                raise
        return action()

    def _remove_foreign_keys(self) -> int:
        """Delete keys of another type than a queue has, on which every command fails. Return how many there were."""
        kinds = {self._q_for_pri(QUEUE, priority): "list" for priority in self.priority_steps}
        kinds |= {prefix % QUEUE: "set" for prefix in (self.keyprefix_queue, self.keyprefix_binding_permanent)}
        with self.conn_or_acquire() as client:
            found = [key for key, kind in kinds.items() if client.type(key).decode() not in {kind, "none"}]
            return int(client.delete(*found)) if found else 0

    def _report(self, error: Exception) -> None:
        if time.monotonic() - self._reported_at >= REPORTED_EVERY_SECONDS:
            self._reported_at = time.monotonic()
            logger.warning("an entry of the queue %s is no hint and was passed over (%s)", QUEUE, type(error).__name__)


class Transport(redis.Transport):  # type: ignore[misc]
    """Kombu's transport with such channels."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        """Give a message to the worker.

        Raises:
            NoHint: it is none of this console's.

        """
        super()._deliver(read_hint(message, queue), queue)
