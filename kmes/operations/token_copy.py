"""The device's part of backup and restore: a software token's files and PIN, or the name of a hardware device.

A SoftHSM token is a folder. A hardware device does not export its keys, so the backup only names it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from hsm.device import get_device
from hsm.emulator import write_configuration
from hsm.session import find_module
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from kmes.core.private_files import copy_plain_tree, copy_private, open_plain
from kmes.operations.manifest import BackupError, DeviceFacts, Manifest

FOLDER = "token"
PIN = "pin"


def _home() -> Path:
    return Path(settings.KMES_SOFTHSM_CONF).parent


def is_software() -> bool:
    """Return whether this installation's token is a SoftHSM folder that it made itself."""
    try:
        module = find_module(settings.KMES_HSM_MODULE)
    except DeviceError:
        return False
    return "softhsm" in module.lower() and (_home() / "tokens").is_dir() and settings.KMES_HSM_PIN_FILE.is_file()


def copy_out(folder: Path) -> None:
    """Copy the token's files and the PIN; they change only when major keys are made."""
    (folder / FOLDER).mkdir(mode=0o700)
    copy_plain_tree(_home() / "tokens", folder / FOLDER / "tokens")
    with open_plain(settings.KMES_HSM_PIN_FILE) as pin:
        copy_private(pin, folder / FOLDER / PIN)


@contextmanager
def put_in_place(folder: Path, *, replace: bool) -> Iterator[None]:
    """Put the token of a backup into place; undone if the body fails.

    Former files are kept beside it, named ``…before-restore-<time>``. They are moved one by one, because
    the folder may be a mount.

    Raises:
        BackupError: there is a token already, and ``replace`` is false.

    """
    home, pin = _home(), Path(settings.KMES_HSM_PIN_FILE)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    tokens, stamp = home / "tokens", f"before-restore-{now():%Y%m%dT%H%M%SZ}"
    if tokens.is_dir() and any(tokens.iterdir()) and not replace:
        raise BackupError(
            _("There is a token in %(home)s already.") % {"home": home},
            _("Restore into an empty state folder, or add --replace, which keeps the current one beside it."),
        )
    moved = [(path, path.with_name(f"{path.name}.{stamp}")) for path in (tokens, pin) if path.exists()]
    for path, aside in moved:
        path.replace(aside)
    try:
        _copy_in(folder, home, pin)
        yield
    except BaseException:
        shutil.rmtree(tokens, ignore_errors=True)
        pin.unlink(missing_ok=True)
        for path, aside in moved:
            aside.replace(path)
        raise


def _copy_in(folder: Path, home: Path, pin: Path) -> None:
    shutil.copytree(folder / FOLDER / "tokens", home / "tokens")
    (home / "tokens").chmod(0o700)
    write_configuration(home)
    pin.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(pin, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write((folder / FOLDER / PIN).read_bytes())


def check_device(manifest: Manifest) -> None:
    """Compare the check values of the connected device with those of the backup.

    Raises:
        BackupError: the device can't be asked, or has other major keys.

    """
    wanted = manifest.device
    if wanted is None:
        return
    try:
        values = {key.name: key.check_value for key in get_device().major_keys()}
    except DeviceError as error:
        raise BackupError(
            _("The device can't be asked for its major keys: %(what)s") % {"what": error.what},
            _("Connect the device of the backup: %(wanted)s. Or add --without-device to restore the rows alone.")
            % {"wanted": wanted},
        ) from error
    if (values["PMK"], values["MFK"]) != (wanted.pmk_check_value, wanted.mfk_check_value):
        raise BackupError(
            _("The connected device has other major keys: PMK %(pmk)s, MFK %(mfk)s.")
            % {"pmk": values["PMK"], "mfk": values["MFK"]},
            _("The keys of this backup open only in a device with the major keys of %(wanted)s.") % {"wanted": wanted},
        )


def statement(device: DeviceFacts | None, *, has_token: bool) -> str:
    """Return in one sentence which device is needed to use the backup."""
    if device is None:
        return _("No device was designated: the backup holds no keys that a device would have to open.")
    if has_token:
        return _("The backup holds the software token %(device)s.") % {"device": device}
    return _(
        "The backup does NOT hold the device's keys. To use it you need a device with the major keys of %(device)s."
    ) % {"device": device}
