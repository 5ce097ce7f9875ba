"""The only access to the PKCS#11 library: loading, login, locking, recovery after a fault.

Facts it relies on (measured with SoftHSM 2.6.1 and python-pkcs11 0.10.1):

* The binding initialises without locking and releases the GIL, so threads crash the library: it is
  re-initialised with ``CKF_OS_LOCKING_OK``, and one lock per process serialises every operation.
* A login belongs to the whole token and process; closing the session that logged in logs all
  others out. So one keeper session is opened with the PIN and never closed.
* The library doesn't survive a fork: it is loaded lazily, and anew when the process id changed.
* A wrong PIN may lock a real device, so it is never tried twice: the circuit stays open until the
  PIN file changes.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from django.utils.translation import gettext as _
from pkcs11 import exceptions as p11
from pkcs11.constants import TokenFlag

from hsm.pin import read_pin
from hsm.types import DeviceIdentity
from kmes.core.errors import DeviceError

T = TypeVar("T")

CKF_OS_LOCKING_OK = 0x2
SOFTHSM_PATHS = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
# Answers of a removed, replaced or restarted device: reload the library and try once more.
TRANSIENT_ERRORS = (
    p11.DeviceError,
    p11.DeviceRemoved,
    p11.GeneralError,
    p11.SessionHandleInvalid,
    p11.SessionClosed,
    p11.ObjectHandleInvalid,
    # Answers of a reconnected token to handles from before.
    p11.KeyHandleInvalid,
    p11.UnwrappingKeyHandleInvalid,
    p11.WrappingKeyHandleInvalid,
    p11.OperationNotInitialized,
    p11.TokenNotPresent,
    p11.UserNotLoggedIn,
    p11.NoSuchToken,
)
PIN_ERRORS = (p11.PinIncorrect, p11.PinLocked, p11.PinInvalid, p11.PinLenRange, p11.PinExpired)


class _InitArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS of PKCS#11 2.40, section 5.4."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


def find_module(configured: str) -> str:
    """Return the path of the PKCS#11 library: the configured one, else SoftHSM where distributions put it.

    Raises:
        DeviceError: there is none (code ``device_missing``).

    """
    for path in [configured] if configured else SOFTHSM_PATHS:
        if Path(path).exists():
            return path
    raise DeviceError(
        _("The PKCS#11 library %(module)s does not exist.") % {"module": configured}
        if configured
        else _("The PKCS#11 library of SoftHSM does not exist."),
        _("Install the package softhsm2, or set KMES_HSM_MODULE to your device's library."),
        code="device_missing",
    )


def load_library(module: str) -> Any:
    """Load a PKCS#11 library so that it may be called from several threads."""
    try:
        library = pkcs11.lib(module)
    except (p11.PKCS11Error, RuntimeError, OSError) as error:
        raise DeviceError(
            _("The PKCS#11 library %(module)s could not be loaded (%(error)s).")
            % {"module": module, "error": type(error).__name__},
            _("Check KMES_HSM_MODULE and the device's own configuration file."),
            code="device_missing",
        ) from error
    raw = ctypes.CDLL(module)
    raw.C_Finalize(None)
    raw.C_Initialize(ctypes.byref(_InitArgs(flags=CKF_OS_LOCKING_OK)))
    return library


def describe_token(token: Any, sentinel_hash: str) -> DeviceIdentity:
    """Return which token this is, given the hash of its sentinel key."""
    serial = token.serial.decode() if isinstance(token.serial, bytes) else str(token.serial)
    mechanisms = sorted(str(getattr(one, "name", one)) for one in token.slot.get_mechanisms())
    return DeviceIdentity(
        serial=serial.strip(),
        label=str(token.label),
        manufacturer=str(token.manufacturer_id),
        model=str(token.model),
        firmware=".".join(str(part) for part in token.firmware_version),
        sentinel_hash=sentinel_hash,
        mechanisms=tuple(mechanisms),
    )


class TokenSession:
    """A logged-in token, reached by one caller at a time."""

    def __init__(self, *, module: str, label: str, pin_file: Path, softhsm_conf: Path) -> None:
        self.module = module
        self.label = label
        self._pin_file = pin_file
        self._softhsm_conf = softhsm_conf
        self._lock = threading.RLock()
        self._pid = 0
        self._library: Any = None
        self._keeper: Any = None
        self._work: Any = None
        # Changes whenever objects have to be looked up anew.
        self.generation = 0
        self._refused_pin_at: int | None = None

    # --- connecting ------------------------------------------------------------------------
    def _connect(self) -> Any:
        if self._pid != os.getpid():
            # After a fork everything inherited is void, the lock's state too.
            self._lock = threading.RLock()
            self._forget()
        if self._work is None:
            self._open()
        return self._work

    def _forget(self) -> None:
        if self._library is not None:
            pkcs11.unload(self.module)
        self._library = self._keeper = self._work = None
        self._pid = os.getpid()
        self.generation += 1

    def _open(self) -> None:
        self._check_circuit()
        if self._softhsm_conf.exists():
            os.environ["SOFTHSM2_CONF"] = str(self._softhsm_conf)
        pin = read_pin(self._pin_file)
        self._library = load_library(self.module)
        token = self.find_token(self._library)
        try:
            self._keeper = token.open(rw=True, user_pin=pin.reveal())
            self._work = token.open(rw=True)
        except PIN_ERRORS as error:
            self._refused_pin_at = self._pin_file.stat().st_mtime_ns
            self._forget()
            raise DeviceError(
                _("The device refused the PIN of token “%(label)s” (%(error)s).")
                % {"label": self.label, "error": type(error).__name__},
                _("Put the right PIN into %(file)s. It will not be tried again before the file changes.")
                % {"file": self._pin_file},
                code="pin_wrong",
            ) from None

    def _check_circuit(self) -> None:
        if self._refused_pin_at is None:
            return
        if self._pin_file.exists() and self._pin_file.stat().st_mtime_ns != self._refused_pin_at:
            self._refused_pin_at = None
            return
        raise DeviceError(
            _("The device refused the PIN of token “%(label)s”, so it is not tried again.") % {"label": self.label},
            _("Put the right PIN into %(file)s.") % {"file": self._pin_file},
            code="pin_wrong",
        )

    def find_token(self, library: Any) -> Any:
        """Return the one token with our label.

        Raises:
            DeviceError: there is none, or more than one (code ``token_missing``).

        """
        tokens = [
            slot.get_token()
            for slot in library.get_slots(token_present=True)
            if slot.get_token().flags & TokenFlag.TOKEN_INITIALIZED and slot.get_token().label == self.label
        ]
        if len(tokens) == 1:
            return tokens[0]
        raise DeviceError(
            _("The token “%(label)s” is there %(count)d times.") % {"label": self.label, "count": len(tokens)}
            if tokens
            else _("The token “%(label)s” is not there.") % {"label": self.label},
            _("Connect the device, or run manage.py hsm_init to make a development token."),
            code="token_missing",
            retryable=not tokens,
        )

    # --- using -----------------------------------------------------------------------------
    @contextmanager
    def _serialised(self) -> Iterator[Any]:
        if self._pid != os.getpid():
            self._connect()
        with self._lock:
            yield self._connect()

    def run(self, operation: Callable[[Any], T]) -> T:
        """Run an operation on the work session; after a transient error reload once and repeat it once.

        The operation must be harmless to repeat. Keys are session objects, so all of ours are.

        Raises:
            DeviceError: the device can't serve; the text holds no PKCS#11 detail.

        """
        try:
            with self._serialised() as session:
                return operation(session)
        except TRANSIENT_ERRORS:
            pass
        except p11.PKCS11Error as error:
            raise self._failure(error) from error
        try:
            with self._lock:
                self._forget()
                return operation(self._connect())
        except p11.PKCS11Error as error:
            # The next call starts from scratch.
            with self._lock:
                self._forget()
            raise self._failure(error) from error

    def disconnect(self) -> None:
        """Drop the connection; the next operation searches for the token again."""
        with self._lock:
            self._forget()

    def token(self) -> Any:
        """Return the token's description, read from the device."""
        with self._serialised():
            return self._keeper.token

    def library(self) -> Any:
        """Return the loaded library."""
        with self._serialised():
            return self._library

    @staticmethod
    def _failure(error: Exception) -> DeviceError:
        return DeviceError(
            _("The device failed (%(error)s).") % {"error": type(error).__name__},
            _("Check that it is connected and powered; Administration > Device shows its state."),
            code="device_failed",
            retryable=isinstance(error, TRANSIENT_ERRORS),
        )
