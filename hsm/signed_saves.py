"""Signed saves: who saves a destination signs it, so that the device marks only what this console saved.

A destination is a row that says where keys and secrets go. The process that saves one signs its facts and their
number, and writes the number into the log. The device marks the row when a job uses it first (``hsm.mark_checks``).
What was saved before there were signatures is vouched for by an administrator (``manage.py authorize_existing``).

Knows no device, so the web process may load it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _

from hsm.marks import DestinationFacts, RowKind, encode
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, PermissionRefused
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode as encode_request
from kmes.core.request_signatures import is_signed as is_signed_by
from kmes.core.request_signatures import sign
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import Subject, record

PURPOSE = "kmes destination"
# As whom a process signs. Commands run as the owner of the files, for a person.
_SIGNS_AS = {"web": Signer.WEB, "worker": Signer.WORKER, "manage": Signer.WEB}
# The log's rows that tell a number of a destination, and their column that names it.
_NUMBERED = {
    RowKind.CREDENTIAL: (
        "credential_id",
        ("credential.destination_saved", "credential.authorized", "credential.deleted"),
    ),
    RowKind.GROUP: ("group_id", ("group.destination_saved", "group.authorized", "group.deleted")),
}
# What the log calls the things that facts name by a digest.
_SEALED = {"secret": "client secret", "certificate": "certificate", "certificate_key": "certificate's key"}
# More saves than a console sees, and a number that every database keeps.
HIGHEST_NUMBER = 2**31 - 2
COLUMNS = ("mark_number", "mark", "save_signer", "save_signature")


class MarkedRow(models.Model):
    """A row that makes the device act: the signature of its last save, and the device's mark."""

    # Counts the saved destinations of the row; 0 until one was signed or marked.
    mark_number = models.PositiveIntegerField(default=0)
    # Empty until a job used the destination first.
    mark = models.BinaryField(editable=False, default=bytes)
    save_signer = models.CharField(max_length=16, blank=True)
    save_signature = models.BinaryField(editable=False, default=bytes)

    class Meta:
        abstract = True


F = TypeVar("F", bound=DestinationFacts)


@dataclass(frozen=True)
class Claim(Generic[F]):
    """A destination as its row has it now: what people call it, what a mark covers, and how the log names it."""

    name: str
    facts: F
    row: MarkedRow
    subject: Subject
    shown: dict[str, str]


class StrangeDestination(ConflictError):
    """A destination was not saved by this console as it is now; nothing may be built on it."""

    code = "strange_destination"


def newest_number(facts: DestinationFacts) -> int:
    """Return the highest number that the log tells of the destination; 0 if it tells none.

    Whoever writes to the database can add rows to the log, which only raises the number, but can take none away unseen.
    """
    if not is_numbered(facts):
        return 0
    column, events = _NUMBERED[facts.kind]
    rows = LogEntry.objects.filter(service=Service.AUDIT, event__in=events, **{column: str(facts.id)})
    numbers = [data.get("number") for data in rows.values_list("data", flat=True) if isinstance(data, dict)]
    return max((number for number in numbers if isinstance(number, int)), default=0)


def is_numbered(facts: DestinationFacts) -> bool:
    """Return whether such rows change, so that their states have numbers."""
    return facts.kind in _NUMBERED


def next_number(facts: DestinationFacts) -> int:
    """Return the number of the next state of a destination; 0 where there is but one.

    Raises:
        StrangeDestination: the log tells of a number that no console has reached.

    """
    newest = newest_number(facts)
    if newest >= HIGHEST_NUMBER:
        raise StrangeDestination(
            _("A log row mentions state %(number)d of this destination, which nobody saved.") % {"number": newest},
            _("Verify the log, and find out who adds rows to it. Then restore a backup from before that row."),
        )
    return newest + 1 if is_numbered(facts) else 0


def sign_new(claim: Claim[Any], *, actor: Actor) -> None:
    """Sign and log a new destination, within the transaction that stores it."""
    _sign(claim, None, actor=actor)


@contextmanager
def changing(find: Callable[[], Claim[Any]], *, actor: Actor) -> Iterator[None]:
    """Sign and log what the block changes of a destination, within the transaction of the change.

    ``find`` reads the row, locked. One of an earlier release stays unsigned.

    Raises:
        StrangeDestination: the row is not as this console saved it.

    """
    old = find()
    yield
    new = find()
    if new.facts != old.facts and require_own(old):
        _sign(new, old, actor=actor)


def _sign(new: Claim[Any], old: Claim[Any] | None, *, actor: Actor) -> None:
    number = next_number(new.facts)
    sign_save(new.row, new.facts, number=number)
    new.row.save(update_fields=COLUMNS)
    if not is_numbered(new.facts):
        return
    data: dict[str, Any] = {"number": number, "old": old.shown if old else {}, "new": new.shown}
    if old is not None:
        data["exchanged"] = [
            word for name, word in _SEALED.items() if getattr(old.facts, name, "") != getattr(new.facts, name, "")
        ]
    record(
        f"{new.facts.kind}.destination_saved",
        actor=actor,
        message=f"Destination of {new.name} saved and signed",
        subject=new.subject,
        data=data,
    )


def sign_save(row: MarkedRow, facts: DestinationFacts, *, number: int) -> None:
    """Sign what was saved of a row, as this process. It has no mark then.

    Raises:
        PermissionRefused: this process saves no destinations.
        RequestKeyError: its key can't be read.

    """
    signer = _SIGNS_AS.get(settings.KMES_PROCESS)
    if signer is None:
        raise PermissionRefused(
            _("The process “%(process)s” may not change where keys and secrets go.")
            % {"process": settings.KMES_PROCESS}
        )
    row.mark_number, row.mark, row.save_signer = number, b"", signer.value
    row.save_signature = sign(_message(facts, number, signer.value), signer)


def is_signed(row: MarkedRow, facts: DestinationFacts) -> bool:
    """Return whether a process of this console saved the row as it is, and nothing after it.

    Raises:
        RequestKeyError: the public halves can't be read.

    """
    return has_signature(row, facts) and row.mark_number >= newest_number(facts)


def has_signature(row: MarkedRow, facts: DestinationFacts) -> bool:
    """Return whether a process of this console saved the row as it is; perhaps something else after it.

    Raises:
        RequestKeyError: the public halves can't be read.

    """
    signature = bytes(row.save_signature)
    message = _message(facts, row.mark_number, row.save_signer)
    return bool(signature) and is_signed_by(message, signature, row.save_signer)


def is_unsigned(row: MarkedRow, facts: DestinationFacts) -> bool:
    """Return whether the row was never signed or marked: an earlier release made it."""
    return not (row.mark_number or row.mark or row.save_signature or newest_number(facts))


def require_own(claim: Claim[Any]) -> bool:
    """Return whether a change of the row may be signed. It may not on one of an earlier release.

    Raises:
        StrangeDestination: the row is not as this console saved it: a signature would cover what somebody else wrote.

    """
    if is_signed(claim.row, claim.facts):
        return True
    if is_unsigned(claim.row, claim.facts):
        return False
    raise StrangeDestination(
        _("“%(name)s” is not as this console saved it: its row in the database was changed or put back.")
        % {"name": claim.name},
        _("Verify the log, and find out who writes to the database. %(help)s") % {"help": compare_and_authorize()},
    )


def compare_and_authorize() -> str:
    """Return what helps where a destination is right, but not signed or marked here."""
    return _(
        "If it is right as it stands, for example after a restore, run manage.py authorize_existing where the device is."
    )


def _message(facts: DestinationFacts, number: int, signer: str) -> bytes:
    return encode_request(PURPOSE, {"destination": encode(facts, number=number).hex(), "signer": signer})
