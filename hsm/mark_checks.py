"""Checks the marks of rows before the device acts on them. The only module that makes verified rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from hsm.device import Device
from hsm.marks import CredentialFacts, GroupFacts, KeyFacts, VaultFacts, encode
from hsm.signed_saves import Claim, compare_and_authorize, is_unsigned, newest_number
from hsm.verified import VerifiedDestination, VerifiedKey
from kmes.core.errors import DeviceError

MISSING, WRONG, OLD = "mark_missing", "mark_wrong", "mark_old"
# The log event of a mark that does not hold.
REFUSED_EVENT = "device.mark_refused"


class MarkError(DeviceError):
    """A row does not carry this device's mark, so the device does not act on it.

    The code is ``MISSING``, ``WRONG``, or ``OLD`` for the mark of an earlier state.
    """


def check_keys(device: Device, claims: Sequence[tuple[str, KeyFacts, bytes]]) -> list[VerifiedKey | MarkError]:
    """Check the marks of keys at one go. Return for each the verified key, or why it is refused.

    ``claims`` are a key's name, its facts as the row has them now, and the row's mark.

    Raises:
        DeviceError: the device can't serve.

    """
    held = device.check_marks([(encode(facts), mark) for _name, facts, mark in claims])
    return [
        VerifiedKey(facts) if is_held else _refuse_key(name, is_missing=not mark)
        for (name, facts, mark), is_held in zip(claims, held, strict=True)
    ]


def check_destination(
    device: Device,
    *,
    credential: Claim[CredentialFacts],
    vault: Claim[VaultFacts] | None = None,
    group: Claim[GroupFacts] | None = None,
) -> VerifiedDestination:
    """Check the marks of a destination at one go, and that its parts belong together.

    Raises:
        MarkError: a mark does not hold, or is that of an earlier state.
        DeviceError: the device can't serve.

    """
    claims: list[Claim[Any]] = [each for each in (credential, vault, group) if each is not None]
    texts = [(encode(claim.facts, number=claim.row.mark_number), bytes(claim.row.mark)) for claim in claims]
    for claim, is_held in zip(claims, device.check_marks(texts), strict=True):
        is_old = claim.row.mark_number < newest_number(claim.facts)
        if is_old and claim.row.mark_number:
            raise _refuse_old(claim)
        if is_old or not is_held:
            raise _refuse_destination(claim)
    if vault is not None and vault.facts.credential_id != credential.facts.id:
        raise _refuse_destination(vault)
    if group is not None and (vault is None or group.facts.vault_id != vault.facts.id):
        raise _refuse_destination(group)
    return VerifiedDestination(
        credential.facts, None if vault is None else vault.facts, None if group is None else group.facts
    )


def _refuse_old(claim: Claim[Any]) -> MarkError:
    return MarkError(
        _("“%(name)s” is an earlier state of its row, put back into the database.") % {"name": claim.name},
        _("Verify the log, and find out who writes to the database. %(help)s") % {"help": compare_and_authorize()},
        code=OLD,
    )


def _refuse_destination(claim: Claim[Any]) -> MarkError:
    if is_unsigned(claim.row, claim.facts):
        return MarkError(
            _("“%(name)s” does not carry this device's mark yet.") % {"name": claim.name}, run_upgrade(), code=MISSING
        )
    return MarkError(
        _(
            "The row of “%(name)s”, which says where keys and secrets go, does not carry this device's mark: it was"
            " changed, or comes from another row or device."
        )
        % {"name": claim.name},
        _("Somebody may have changed the database: verify the log. %(help)s") % {"help": compare_and_authorize()},
        code=WRONG,
    )


def _refuse_key(name: str, *, is_missing: bool) -> MarkError:
    if is_missing:
        return MarkError(
            _("Key “%(name)s” does not carry this device's mark yet.") % {"name": name}, run_upgrade(), code=MISSING
        )
    return MarkError(
        _("The row of key “%(name)s” does not carry this device's mark: it was changed, or comes from another row.")
        % {"name": name},
        _(
            "Somebody may have changed the database: verify the log. Then restore the key from a backup, or destroy it "
            "and rotate its key group."
        ),
        code=WRONG,
    )


def run_upgrade() -> str:
    """Return what helps where rows were never marked."""
    return _(
        "If it was made by a release without marks, run manage.py authorize_existing where the device is. Otherwise "
        "find out who made it."
    )
