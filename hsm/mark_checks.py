"""Checks the marks of rows before the device acts on them. The only module that makes verified rows."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from hsm.device import Device
from hsm.marks import KeyFacts, encode
from hsm.verified import VerifiedKey
from kmes.core.errors import DeviceError

MISSING, WRONG = "mark_missing", "mark_wrong"
# The log event of a mark that does not hold.
REFUSED_EVENT = "device.mark_refused"


class MarkError(DeviceError):
    """A row does not carry this device's mark, so the device does not act on it (code ``MISSING`` or ``WRONG``)."""


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
