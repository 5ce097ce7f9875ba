"""The development device: creates a SoftHSM token and its PIN file below the state folder.

Everything else goes through ``hsm.device``, as with any device.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from pathlib import Path

import pkcs11
from django.utils.translation import gettext as _

from hsm.session import find_module, load_library
from kmes.core.errors import DeviceError
from kmes.core.private_files import write_private

LABEL = "KMES"
CKU_SO, CKU_USER = 0, 1
CKF_SERIAL_RW = 0x2 | 0x4


def create_token(state_dir: Path, *, module: str = "", label: str = LABEL) -> Path:
    """Make a SoftHSM token with a random PIN, if it is not there yet. Return the PIN file.

    The PIN goes from memory to the library and to the file, never into a command line.

    Raises:
        DeviceError: the folder can't be written, or the library refuses.

    """
    folder = state_dir / "hsm"
    pin_file, conf = folder / "pin", folder / "softhsm2.conf"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "tokens").mkdir(mode=0o700, exist_ok=True)
        write_configuration(folder)
    except OSError as error:
        raise DeviceError(
            _("The folder %(folder)s can't be written: %(reason)s.") % {"folder": folder, "reason": error.strerror},
            _("Check its owner and mode, or set KMES_STATE_DIR to another folder."),
            code="state_dir",
        ) from error
    os.environ["SOFTHSM2_CONF"] = str(conf)
    if pin_file.exists():
        return pin_file
    pin = secrets.token_hex(16)
    # Written first: a PIN without a token is harmless, a token without its PIN is useless.
    descriptor = os.open(pin_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(pin)
    try:
        _init_token(find_module(module), label, pin)
    except DeviceError:
        pin_file.unlink()
        raise
    return pin_file


def write_configuration(folder: Path) -> None:
    """Tell SoftHSM that its tokens lie in ``folder``."""
    lines = (f"directories.tokendir = {folder / 'tokens'}", "objectstore.backend = file", "log.level = ERROR", "")
    # Root restores a token, too, in a folder of the worker's user.
    write_private(folder / "softhsm2.conf", "\n".join(lines), mode=0o644)


def _init_token(module: str, label: str, pin: str) -> None:
    """Call C_InitToken and C_InitPIN (PKCS#11 2.40, 5.5), which the binding does not offer."""
    library = load_library(module)
    slots = [slot.slot_id for slot in library.get_slots() if not slot.get_token().flags & 0x400]
    if not slots:
        raise DeviceError(
            _("The software token offers no free slot."), _("Remove unused tokens."), code="token_missing"
        )
    raw = ctypes.CDLL(module)
    so_pin, user_pin = secrets.token_hex(16).encode(), pin.encode()
    session = ctypes.c_ulong()
    calls = (
        lambda: raw.C_InitToken(
            ctypes.c_ulong(slots[0]), so_pin, ctypes.c_ulong(len(so_pin)), label.ljust(32).encode()
        ),
        lambda: raw.C_OpenSession(
            ctypes.c_ulong(slots[0]), ctypes.c_ulong(CKF_SERIAL_RW), None, None, ctypes.byref(session)
        ),
        lambda: raw.C_Login(session, ctypes.c_ulong(CKU_SO), so_pin, ctypes.c_ulong(len(so_pin))),
        lambda: raw.C_InitPIN(session, user_pin, ctypes.c_ulong(len(user_pin))),
        lambda: raw.C_Logout(session),
        lambda: raw.C_CloseSession(session),
    )
    for number, call in enumerate(calls):
        answer: int = call()  # type: ignore[no-untyped-call]
        if answer != 0:
            raise DeviceError(
                _("The software token could not be made (step %(number)s, PKCS#11 answer 0x%(answer)s).")
                % {"number": number, "answer": f"{answer:x}"},
                _("Check that its folder can be written."),
                code="token_missing",
            )
    # SoftHSM gives an initialised token a new slot id, which only a newly loaded library shows.
    pkcs11.unload(module)
