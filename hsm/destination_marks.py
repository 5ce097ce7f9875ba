"""Has the device mark what was saved here, and verifies destinations before a job uses them. Workers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hsm.device import get_device
from hsm.mark_checks import check_destination
from hsm.marks import CredentialFacts, GroupFacts, RowKind, VaultFacts, encode
from hsm.signed_saves import COLUMNS, Claim, has_signature, is_numbered, is_signed, next_number, sign_save
from hsm.verified import VerifiedDestination
from kmes.core.actor import SYSTEM, Actor
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import Draft, LoggedChange, record_many, store_now

# The log's columns by which the last mark of a destination is found.
_FOUND_BY = {RowKind.CREDENTIAL: "credential_id", RowKind.GROUP: "group_id"}


@dataclass(frozen=True)
class Use:
    """For what a destination is used: whose work, and of which job.

    ``store`` does a change and writes its rows of the log: at once, or in a transaction that commits before the destination
    is asked.
    """

    actor: Actor = SYSTEM
    job_id: UUID | None = None
    job_code: str = ""
    store: Callable[[LoggedChange], None] = store_now


def verify(
    *,
    credential: Claim[CredentialFacts],
    vault: Claim[VaultFacts] | None = None,
    group: Claim[GroupFacts] | None = None,
    use: Use,
) -> VerifiedDestination:
    """Return the destination, verified. What this console saved since the last use is marked first, and logged.

    Raises:
        MarkError: a row is not as this console saved it, or an earlier release made it.
        DeviceError: the device can't serve.

    """
    claims: list[Claim[Any]] = [each for each in (credential, vault, group) if each is not None]
    for claim in claims:
        if not claim.row.mark and is_signed(claim.row, claim.facts):
            _mark(claim, use)
    destination = check_destination(get_device(), credential=credential, vault=vault, group=group)
    for claim in claims:
        # That it is no earlier state was checked with the mark.
        if not has_signature(claim.row, claim.facts):
            _sign_again(claim)
    return destination


def is_own(claim: Claim[Any]) -> bool:
    """Return whether the device acts on a destination: it carries the mark, or will because its save was signed here.

    Raises:
        DeviceError: the device can't serve.

    """
    if not claim.row.mark:
        return is_signed(claim.row, claim.facts)
    text = encode(claim.facts, number=claim.row.mark_number)
    (is_held,) = get_device().check_marks([(text, bytes(claim.row.mark))])
    return is_held and claim.row.mark_number + 1 >= next_number(claim.facts)


def mark_anew(claim: Claim[Any]) -> Callable[[Actor], None]:
    """Let the device mark a destination as it was read, for an administrator who compared it. Return what stores it.

    A row that was changed since it was read keeps a mark that does not hold.

    Raises:
        DeviceError: the device can't serve.

    """
    row = claim.row
    number = max(next_number(claim.facts), row.mark_number + 1) if is_numbered(claim.facts) else 0
    sign_save(row, claim.facts, number=number)
    (row.mark,) = get_device().mark([encode(claim.facts, number=number)])

    def store(actor: Actor) -> None:
        row.save(update_fields=COLUMNS)
        record_many([_draft(claim, Use(actor))])

    return store


def _mark(claim: Claim[Any], use: Use) -> None:
    """Let the device mark a saved destination, and log which one took the place of which."""
    row = claim.row
    (mark,) = get_device().mark([encode(claim.facts, number=row.mark_number)])

    def store() -> list[Draft]:
        # Another worker may have done the same meanwhile; or somebody saved again.
        return [_draft(claim, use)] if _same_rows(claim, mark=b"").update(mark=mark) else []

    use.store(store)
    row.mark = mark


def _sign_again(claim: Claim[Any]) -> None:
    """Sign what the device marked before, where the key that signed it was exchanged: it may then be changed here."""
    row, mark = claim.row, bytes(claim.row.mark)
    sign_save(row, claim.facts, number=row.mark_number)
    row.mark = mark
    _same_rows(claim, mark=mark).update(save_signer=row.save_signer, save_signature=row.save_signature)


def _same_rows(claim: Claim[Any], *, mark: bytes) -> Any:
    """Return the row, if its mark and number are still these."""
    rows = type(claim.row)._default_manager  # noqa: SLF001 - Django's documented way to a model's manager
    return rows.filter(pk=claim.row.pk, mark_number=claim.row.mark_number, mark=mark)


def _draft(claim: Claim[Any], use: Use) -> Draft:
    return Draft(
        event=f"{claim.facts.kind}.authorized",
        actor=use.actor,
        message=f"Destination of {claim.name} marked by the device",
        subject=claim.subject,
        job_id=use.job_id,
        job_code=use.job_code,
        data={"number": claim.row.mark_number, "old": _last_marked(claim), "new": claim.shown},
    )


def _last_marked(claim: Claim[Any]) -> object:
    column = _FOUND_BY.get(claim.facts.kind)
    if column is None:
        return {}
    rows = LogEntry.objects.filter(service=Service.AUDIT, event=f"{claim.facts.kind}.authorized")
    found = rows.filter(**{column: str(claim.facts.id)}).order_by("-sequence").values_list("data", flat=True).first()
    return found.get("new", {}) if isinstance(found, dict) else {}
