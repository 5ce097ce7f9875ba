"""The queue of the report worker: its closed list of tasks, and what a message in Redis may say.

A message names one of the tasks registered here, and at most one row by its id. Redis is not trusted: RQ itself
unpickles messages and calls whatever they name (docs/threat-model.md, "Redis").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from kmes.core.redis_connection import connect

logger = logging.getLogger(__name__)
QUEUE = "reports"
FAILED_KEPT_SECONDS = 3600
REDIS_SECONDS = 2
# A mark without a hint (Redis came back without the queue) blocks hints only for this long.
MARK_SECONDS = 60
MAX_DATA_BYTES = 1024
MAX_ARGUMENT_LENGTH = 64
# All that is read of a message. The rest names callbacks, webhooks, repeats and dependents.
_FIELDS = frozenset(
    (b"data", b"status", b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"last_heartbeat", b"worker_name")
)
_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True)
class ReportTask:
    """A function that the report worker may run, and for how long."""

    function: Callable[..., object]
    timeout_seconds: int


_tasks: dict[str, ReportTask] = {}


def report_task(*, timeout_seconds: int) -> Callable[[_Function], _Function]:
    """Register the decorated function as a task of the report worker, under its own name."""

    def register(function: _Function) -> _Function:
        _tasks[function.__name__] = ReportTask(function, timeout_seconds)
        return function

    return register


def enqueue(function: Callable[..., object], *arguments: str) -> None:
    """Have the report worker run a task.

    Raises:
        RedisError: the queue can't be reached.
        KeyError: the function is no task.

    """
    task = _tasks[function.__name__]
    with connect(seconds=REDIS_SECONDS) as connection:
        Queue(QUEUE, connection=connection, job_class=ReportJob).enqueue(
            function.__name__,
            args=arguments,
            job_timeout=task.timeout_seconds,
            result_ttl=0,
            failure_ttl=FAILED_KEPT_SECONDS,
        )


def enqueue_once(function: Callable[..., object], *, mark: str) -> None:
    """Have the report worker run a task, unless a hint for it waits already. Without Redis log a warning.

    ``mark`` is the key in Redis that keeps hints from piling up. The task removes it before it reads its rows, so a
    later row gets a hint of its own; the scan repeats a lost one.
    """
    try:
        with connect(seconds=REDIS_SECONDS) as connection:
            if _set_mark(connection, mark):
                enqueue(function)
    except RedisError:
        logger.warning("the report queue can't be reached; the scan will repeat the hint")


def remove_mark(mark: str) -> None:
    """Let the next hint for a task through.

    Raises:
        RedisError: the queue can't be reached.

    """
    with connect(seconds=REDIS_SECONDS) as connection:
        connection.delete(mark)


def _set_mark(connection: Redis, mark: str) -> bool:
    """Return whether a hint has to be sent. A mark that does not expire in time is none of ours."""
    if connection.set(mark, "1", nx=True, ex=MARK_SECONDS):
        return True
    if 0 <= connection.ttl(mark) <= MARK_SECONDS:
        return False
    connection.set(mark, "1", ex=MARK_SECONDS)
    return True


def is_reached() -> bool:
    """Return whether Redis answers."""
    try:
        with connect(seconds=REDIS_SECONDS) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


class ReportJob(Job):
    """A message of the queue. Neither imports nor unpickles anything: what is no task does not exist."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Whatever serializer the caller asks for: RQ's default is pickle.
        super().__init__(*arguments[:2], **{**options, "serializer": JSONSerializer})

    @classmethod
    def fetch(cls, *arguments: Any, **options: Any) -> Job:
        """Read a message.

        Raises:
            NoSuchJobError: it does not exist, or its key holds something else.

        """
        try:
            return super().fetch(*arguments, **options)
        except (ValueError, TypeError, ResponseError) as error:
            message = "a message of the report queue is no task"
            raise NoSuchJobError(message) from error

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the task's name, its argument and the message's times, and nothing else.

        Raises:
            NoSuchJobError: the message names no task.

        """
        try:
            if len(raw_data.get(b"data", b"")) > MAX_DATA_BYTES:
                raise DeserializationError
            super().restore({name: value for name, value in raw_data.items() if name in _FIELDS})
            task = _tasks[self.func_name or ""]
        except (DeserializationError, KeyError, ValueError, TypeError, OverflowError) as error:
            message = "a message of the report queue is no task"
            raise NoSuchJobError(message) from error
        self.origin, self.timeout = QUEUE, task.timeout_seconds
        self.result_ttl, self.failure_ttl = 0, FAILED_KEPT_SECONDS

    def _deserialize_data(self) -> None:
        try:
            name, instance, arguments, named = json.loads(self.data)
        except (ValueError, TypeError, RecursionError) as error:
            raise DeserializationError from error
        is_plain = instance is None and named == {} and isinstance(arguments, list) and len(arguments) <= 1
        if not is_plain or not isinstance(name, str) or not all(map(_is_id, arguments)):
            raise DeserializationError
        self._func_name, self._instance, self._args, self._kwargs = name, None, arguments, {}

    @property
    def func(self) -> Callable[..., object]:
        """The registered function; RQ's own imports the name."""
        return _tasks[self.func_name or ""].function


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ARGUMENT_LENGTH
