"""Reads the PIN file. The PIN is nowhere else: not in the environment, database, argv or logs."""

from __future__ import annotations

import stat
from pathlib import Path

from django.utils.translation import gettext as _

from kmes.core.errors import DeviceError
from kmes.core.secret_types import SecretText


def read_pin(path: Path) -> SecretText:
    """Return the PIN.

    Raises:
        DeviceError: the file is missing, empty, or open to group or others (code ``pin_file``).

    """
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise DeviceError(
                _("The PIN file %(path)s may be read by others (mode %(mode)s).")
                % {"path": path, "mode": f"{stat.S_IMODE(mode):04o}"},
                _("Run: chmod 600 %(path)s") % {"path": path},
                code="pin_file",
            )
        pin = path.read_text().strip()
    except OSError as error:
        raise DeviceError(
            _("The PIN file %(path)s can't be read: %(reason)s.") % {"path": path, "reason": error.strerror},
            _("Set KMES_HSM_PIN_FILE to a file that holds the token's user PIN and is readable for the worker only."),
            code="pin_file",
        ) from error
    if not pin:
        raise DeviceError(
            _("The PIN file %(path)s is empty.") % {"path": path},
            _("Write the token's user PIN into it."),
            code="pin_file",
        )
    return SecretText(pin)
