"""Writes the log: appends rows to the chain in the caller's transaction.

If a row can't be written these functions raise, so the logged action does not happen. Call them last
in a transaction: the head of the chain stays locked until the commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from kmes.core import clock, language
from kmes.core.errors import KmesError
from logging_reports.chain import GENESIS, hash_entry
from logging_reports.choices import Category, Service, Severity
from logging_reports.events import Event, find_event
from logging_reports.models import SECOND_ADMINISTRATOR, LogEntry, LogHead
from logging_reports.redaction import Cleaner

if TYPE_CHECKING:
    from kmes.core.actor import Actor


PASSED_AT_ONCE = 10_000
# Called with the entries just written, in their transaction, while the heads of their logs are locked.
_entry_handlers: list[Callable[[Sequence[LogEntry]], None]] = []


class LogWriteError(KmesError):
    """The log can't be written, so the action must not happen."""

    code = "log"


@dataclass(frozen=True)
class Subject:
    """The objects that a row refers to: ids, and labels as they were at that moment."""

    credential_id: str = ""
    credential: str = ""
    vault: str = ""
    group_id: str = ""
    group: str = ""
    key_id: str = ""
    key: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A row that is not yet in the chain. The fields are those of ``record``."""

    event: str
    actor: Actor
    message: str = ""
    severity: Severity | None = None
    subject: Subject | None = None
    job_id: UUID | None = None
    job_code: str = ""
    provider_request_id: str = ""
    http_status: int | None = None
    duration_ms: int | None = None
    data: dict[str, Any] | None = None
    category: Category | None = None
    kind: Event = field(init=False)

    def __post_init__(self) -> None:
        """Look up the event now, so that a wrong name fails where it was written."""
        object.__setattr__(self, "kind", find_event(self.event))


# Changes rows of the database, and returns what the log is to tell of that. The log is written last, however many changes
# a transaction holds.
LoggedChange = Callable[[], Sequence[Draft]]


def record(
    event: str,
    *,
    actor: Actor,
    message: str = "",
    severity: Severity | None = None,
    subject: Subject | None = None,
    job_id: UUID | None = None,
    job_code: str = "",
    provider_request_id: str = "",
    http_status: int | None = None,
    duration_ms: int | None = None,
    data: dict[str, Any] | None = None,
    category: Category | None = None,
) -> LogEntry:
    """Append one row to the log of its event and return the row.

    The message is English and never translated (``kmes.core.language``); the default is the event's
    label. ``category`` overrides that of the event, for events of any call (``azure.call_failed``,
    ``azure.intent``). Secrets are masked and long texts cut. ``duration_ms`` is in milliseconds.

    Raises:
        UnknownEventError: the event is not registered.
        LogWriteError: the database refused the row.

    """
    draft = Draft(
        event=event,
        actor=actor,
        message=message,
        severity=severity,
        subject=subject,
        job_id=job_id,
        job_code=job_code,
        provider_request_id=provider_request_id,
        http_status=http_status,
        duration_ms=duration_ms,
        data=data,
        category=category,
    )
    return record_many([draft])[0]


def record_many(drafts: Sequence[Draft]) -> list[LogEntry]:
    """Append several rows under one lock per log. Return them in the order given.

    Raises:
        LogWriteError: the database refused a row; none is written.

    """
    entries = [_build(draft) for draft in drafts]
    by_service: dict[str, list[LogEntry]] = defaultdict(list)
    for entry in entries:
        by_service[entry.service].append(entry)
    try:
        try:
            _write(by_service, entries)
        except IntegrityError:
            # A row that is in the way was added past the console, and can't be removed: it must not stop the log for good.
            _write(by_service, entries, is_passing_foreign=True)
    except DatabaseError as error:
        raise LogWriteError(
            _("The log can't be written, so nothing was done."),
            _("Check the database and try again."),
            retryable=True,
        ) from error
    return entries


def _write(
    by_service: dict[str, list[LogEntry]], entries: Sequence[LogEntry], *, is_passing_foreign: bool = False
) -> None:
    with transaction.atomic():
        # Heads are always locked in the same order, so that two batches can't deadlock.
        for service in sorted(by_service):
            head = lock_head(Service(service))
            if is_passing_foreign:
                _pass_foreign(head)
            _append(head, by_service[service])
        for handler in _entry_handlers:
            handler(entries)


def store_now(change: LoggedChange) -> None:
    """Do a change and write the rows that tell of it, in one transaction.

    Raises:
        LogWriteError: the database refused a row; nothing is changed.

    """
    with transaction.atomic():
        if drafts := change():
            record_many(drafts)


def register_entry_handler(handler: Callable[[Sequence[LogEntry]], None]) -> None:
    """Have a function called with the entries of each batch. A database error in it undoes the batch."""
    if handler not in _entry_handlers:
        _entry_handlers.append(handler)


def _append(head: LogHead, entries: list[LogEntry]) -> None:
    at = clock.now()
    for entry in entries:
        head.sequence += 1
        entry.sequence, entry.at, entry.previous_hash = head.sequence, at, head.hash
        entry.hash = head.hash = hash_entry(entry)
    LogEntry.objects.bulk_create(entries)
    head.save(force_update=True, update_fields=["sequence", "hash"])


def _pass_foreign(head: LogHead) -> None:
    """Move the end of a log behind the rows that lie beyond it. The chain shows a break there (``verification``)."""
    while True:
        beyond = LogEntry.objects.filter(
            service=head.service, sequence__gt=head.sequence, sequence__lte=head.sequence + PASSED_AT_ONCE
        )
        highest = beyond.aggregate(highest=Max("sequence"))["highest"]
        if highest is None:
            return
        head.sequence = highest


def lock_head(service: Service) -> LogHead:
    """Return the head of a log, locked until the end of the transaction.

    Raises:
        DatabaseError: the log has rows and no head. Where it ended is not guessed.

    """
    # SQLite ignores select_for_update; BEGIN IMMEDIATE serializes writers there.
    heads = LogHead.objects.select_for_update()
    head = heads.filter(service=service).first()
    if head is None:
        _made, is_first = LogHead.objects.get_or_create(service=service, defaults={"sequence": 0, "hash": GENESIS})
        # Asked after the head was made: until then, another writer may make it and add the first row.
        if is_first and LogEntry.objects.filter(service=service).exists():
            message = f"the head of the {service} log is gone"
            raise DatabaseError(message)
        head = heads.get(service=service)
    return head


def _build(draft: Draft) -> LogEntry:
    """Make the cleaned row of a draft, without its place in the chain."""
    clean, kind = Cleaner(), draft.kind
    subject = {name: clean.label(value, limit=_limit(name)) for name, value in vars(draft.subject or Subject()).items()}
    entry = LogEntry(
        service=kind.service.value,
        category=(draft.category or kind.category).value,
        severity=(draft.severity or kind.severity).value,
        event=kind.name,
        actor_name=clean.label(draft.actor.name, limit=_limit("actor_name")),
        actor_trigger=draft.actor.trigger.value,
        actor_user_id=draft.actor.user_id,
        job_id=draft.job_id,
        job_code=clean.label(draft.job_code, limit=_limit("job_code")),
        provider_request_id=clean.label(draft.provider_request_id, limit=_limit("provider_request_id")),
        http_status=draft.http_status,
        duration_ms=draft.duration_ms,
        message=clean.text(str(draft.message) or language.recorded(kind.label)),
        data=clean.data(draft.data) | _second(draft, clean),
        **subject,
    )
    entry.truncated = clean.truncated
    return entry


def _second(draft: Draft, clean: Cleaner) -> dict[str, Any]:
    """Return what the data says of the second administrator. The hash covers it, in every format of the chain."""
    second = draft.actor.second
    if second is None:
        return {}
    name = clean.label(second.name, limit=_limit("actor_name"))
    return {SECOND_ADMINISTRATOR: name, f"{SECOND_ADMINISTRATOR}_id": second.user_id}


def _limit(field_name: str) -> int:
    return int(getattr(LogEntry, field_name).field.max_length)
