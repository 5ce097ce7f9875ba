"""The device as the packages above use it: generate, wrap, open a secret, sign, check health.

One per process, opened on first use. Web, beat and report processes are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from pkcs11 import Mechanism
from pkcs11 import exceptions as p11

from hsm import (
    byok,
    checkpoint_signing,
    keys,
    major_keys,
    marking,
    report_signing,
    self_test,
    sign_in_certificates,
    verified,
)
from hsm.client_assertions import AssertionRequest
from hsm.keys import canonical_spki
from hsm.marks import KeyFacts, encode, seal_context
from hsm.sealing import seal, unseal
from hsm.session import TokenSession, describe_token, find_module
from hsm.types import (
    DeviceCertificate,
    DeviceIdentity,
    KeySpec,
    MajorKey,
    MarkedKey,
    ReportSignature,
    SelfTestResult,
)
from hsm.verified import VerifiedDestination, VerifiedKey
from kmes.core.errors import DeviceError
from kmes.core.secret_types import SecretText

T = TypeVar("T")

# Processes that may not use the device (docs/threat-model.md).
FORBIDDEN_PROCESSES = frozenset({"web", "beat", "reports"})


@dataclass
class _TokenState:
    """The major keys and facts of the token, valid in one generation of the session."""

    generation: int
    keys: major_keys.MajorKeys
    kwp_is_exact: bool
    _integrity: Any = None

    def find_integrity(self, session: Any) -> Any:
        """Return the key that marks rows, found when first needed: an older token lacks it until hsm_init has run."""
        if self._integrity is None:
            self._integrity = major_keys.find_integrity_key(session)
        return self._integrity


class _Token:
    """A token, its session, and our major keys on it."""

    def __init__(self, *, module: str, label: str, pin_file: Path, softhsm_conf: Path) -> None:
        self._session = TokenSession(module=module, label=label, pin_file=pin_file, softhsm_conf=softhsm_conf)
        self._state: _TokenState | None = None
        self._sentinel_hash = ""

    def _run(self, operation: Callable[[Any, _TokenState], T]) -> T:
        """Run an operation with the major keys at hand; never inside a database transaction."""
        if connection.in_atomic_block and not settings.KMES_ALLOW_DEVICE_IN_TRANSACTION:
            message = "the device must not be asked while a database transaction is open"
            raise AssertionError(message)
        return self._session.run(lambda session: operation(session, self._prepare(session)))

    def _prepare(self, session: Any) -> _TokenState:
        if self._state is None or self._state.generation != self._session.generation:
            try:
                found = major_keys.find_major_keys(session)
                self._check_same_token(found.sentinel_hash)
            except DeviceError:
                # Another token, or one that is being exchanged: the next operation searches again.
                self._session.disconnect()
                raise
            self._state = _TokenState(self._session.generation, found, byok.kwp_is_exact(session))
        return self._state

    def _check_same_token(self, sentinel_hash: str) -> None:
        if self._sentinel_hash and sentinel_hash != self._sentinel_hash:
            raise DeviceError(
                _("The token was replaced: its sentinel key is not the one seen before."),
                _("Connect the former token, or restart the workers if the change is wanted and its PMK is the same."),
                code="device_replaced",
            )
        self._sentinel_hash = sentinel_hash

    @property
    def is_software(self) -> bool:
        """Return whether the token is SoftHSM, which keeps its keys in this process's memory."""
        token = self._session.token()
        return "SoftHSM" in f"{token.manufacturer_id} {token.model}"


class Device(_Token):
    """A token with our major keys. Every method may raise DeviceError."""

    def initialise(self) -> list[str]:
        """Make the major keys that the token lacks. Return their names."""
        return self._session.run(major_keys.create_missing)

    def generate(self, spec: KeySpec, *, key_id: UUID, group_id: UUID) -> MarkedKey:
        """Make a key for a row; its private half comes back wrapped under the PMK, with the mark on both halves."""

        def operation(session: Any, state: _TokenState) -> MarkedKey:
            integrity = state.find_integrity(session)
            return marking.generate(session, state.keys.pmk, integrity, spec, key_id=key_id, group_id=group_id)

        return self._run(operation)

    def mark_key(self, facts: KeyFacts) -> bytes:
        """Return the mark of a key that was made before there were marks, once its halves are found to fit.

        Raises:
            DeviceError: they don't, or the key belongs to another PMK (code ``wrapped_key_mismatch``).

        """

        def operation(session: Any, state: _TokenState) -> bytes:
            with _unwrapped(state, facts):
                return marking.make(state.find_integrity(session), [encode(facts)])[0]

        return self._run(operation)

    def mark(self, texts: Sequence[bytes]) -> list[bytes]:
        """Return the marks of texts that ``hsm.marks.encode`` made."""
        return self._run(lambda session, state: marking.make(state.find_integrity(session), texts))

    def check_marks(self, claims: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        """Return for each text and mark whether this device made the mark of that text."""
        return self._run(lambda session, state: marking.check(state.find_integrity(session), claims))

    def wrap_for_kek(
        self, key: VerifiedKey, destination: VerifiedDestination, *, kek_modulus: int, kek_exponent: int
    ) -> bytes:
        """Return the BYOK ciphertext of a key under a KEK of the vault that is its key group's destination.

        Raises:
            DeviceError: the wrapped key does not fit its public half (``wrapped_key_mismatch``), the device's wrap is not
                exact and can't be repaired (``not_conformant``), or the key is of another group (``not_of_destination``).

        """
        verified.require_group(destination, key)
        facts, software = key.facts, self.is_software

        def operation(session: Any, state: _TokenState) -> bytes:
            with _unwrapped(state, facts) as private:
                return byok.wrap(
                    session,
                    private,
                    modulus=kek_modulus,
                    exponent=kek_exponent,
                    exact=state.kwp_is_exact,
                    software=software,
                )

        return self._run(operation)

    def open_secret(self, destination: VerifiedDestination, sealed: bytes, *, holder: str) -> SecretText:
        """Open a secret that is sealed for this destination and this holder.

        Raises:
            DeviceError: the destination has no such secret (``not_of_destination``), or it was sealed for another
                credential, place or holder (``sealed_damaged``).

        """
        verified.require_sealed(destination, sealed)
        facts = destination.credential
        return self._unseal(sealed, aad=seal_context(facts.id, holder, facts.place))

    def reseal(self, destination: VerifiedDestination, sealed: bytes, *, former: bytes, holder: str) -> bytes:
        """Seal a secret of a destination for the place that it has now. The secret does not leave this method.

        ``former`` is the associated data with which it is sealed so far.

        Raises:
            DeviceError: as for ``open_secret``.

        """
        verified.require_sealed(destination, sealed)
        facts = destination.credential
        clear = self._unseal(sealed, aad=former)
        aad = seal_context(facts.id, holder, facts.place)
        return seal(clear, aad=aad, mfk_public_spki=self.mfk_public_spki())

    def _unseal(self, sealed: bytes, *, aad: bytes) -> SecretText:
        def operation(session: Any, state: _TokenState) -> SecretText:  # noqa: ARG001 - one signature for all
            def decrypt(wrapped: bytes) -> bytes:
                mechanism = {"mechanism": Mechanism.RSA_PKCS_OAEP, "mechanism_param": byok.OAEP_SHA1}
                try:
                    return bytes(state.keys.mfk_private.decrypt(wrapped, **mechanism))
                except (p11.GeneralError, p11.EncryptedDataInvalid, p11.EncryptedDataLenRange) as error:
                    # SoftHSM reports a damaged envelope and a removed token by the same error.
                    if not self_test.is_working(state.keys):
                        raise
                    raise ValueError("not sealed under this MFK") from error

            return unseal(sealed, aad=aad, decrypt=decrypt)

        return self._run(operation)

    def make_certificate(self, *, common_name: str, valid_for: timedelta) -> DeviceCertificate:
        """Make a key, and a certificate for it that an application can sign in with."""

        def operation(session: Any, state: _TokenState) -> DeviceCertificate:
            return sign_in_certificates.make_certificate(
                session,
                state.keys.pmk,
                common_name=common_name,
                valid_for=valid_for,
                is_working=partial(self_test.is_working, state.keys),
            )

        return self._run(operation)

    def sign_assertion(
        self, destination: VerifiedDestination, *, wrapped_private: bytes, pem: str, audience: str
    ) -> SecretText:
        """Return a client assertion for a destination, signed by the key of its certificate that was made here."""
        verified.require_sealed(destination, wrapped_private)
        verified.require_certificate(destination, pem)
        verified.require_audience(destination, audience)
        request = AssertionRequest(destination.credential.client_id, audience)

        def operation(_session: Any, state: _TokenState) -> SecretText:
            return sign_in_certificates.sign_assertion(
                state.keys.pmk,
                wrapped_private=wrapped_private,
                pem=pem,
                request=request,
                is_working=partial(self_test.is_working, state.keys),
            )

        return self._run(operation)

    def report_public_spki(self) -> bytes:
        """Return the public half of the key that signs reports."""
        return self._run(lambda session, _state: canonical_spki(major_keys.find_report_key(session)[1]))

    def sign_report(self, report: bytes) -> ReportSignature:
        """Sign a report with the device's report key."""
        return self._run(lambda session, _state: report_signing.sign_report(session, report))

    def major_keys(self) -> list[MajorKey]:
        """Return the major keys with their check values."""
        return self._run(lambda _session, state: major_keys.check_values(state.keys))

    def mfk_public_spki(self) -> bytes:
        """Return the MFK's public half, with which the web process seals."""
        return self._run(lambda _session, state: state.keys.mfk_public_spki)

    def checkpoint_public_spki(self) -> bytes:
        """Return the public half of the key that signs checkpoints of the log and backups."""
        return self._run(lambda session, _state: checkpoint_signing.checkpoint_public_spki(session))

    def sign_checkpoint(self, text: bytes) -> bytes:
        """Sign a checkpoint of the log; return the signature as DER."""
        return self._run(lambda session, _state: checkpoint_signing.sign_checkpoint(session, text))

    def sign_handover(self, text: bytes) -> bytes:
        """Sign a hand-over to another checkpoint key; return the signature as DER."""
        return self._run(lambda session, _state: checkpoint_signing.sign_handover(session, text))

    def sign_backup(self, text: bytes) -> bytes:
        """Sign the text that names a backup's manifest; return the signature as DER."""
        return self._run(lambda session, _state: checkpoint_signing.sign_backup(session, text))

    def identity(self) -> DeviceIdentity:
        """Return which token this is."""
        sentinel_hash = self._run(lambda _session, state: state.keys.sentinel_hash)
        return describe_token(self._session.token(), sentinel_hash)

    def self_test(self) -> list[SelfTestResult]:
        """Run the self-test now."""
        software = self.is_software
        return self._run(lambda session, state: self_test.run_tests(session, state.keys, software=software))

    def check_health(self) -> None:
        """Let the sentinel sign; a listing would be answered from a cache after the token is removed."""

        def operation(_session: Any, state: _TokenState) -> None:
            try:
                self_test.check_sentinel(state.keys)
            except ValueError as error:
                raise DeviceError(_("The device's sentinel signs wrongly."), code="device_failed") from error

        self._run(operation)


def _unwrapped(state: _TokenState, facts: KeyFacts) -> AbstractContextManager[Any]:
    works = partial(self_test.is_working, state.keys)
    spec = KeySpec(facts.key_spec)
    return keys.unwrapped(state.keys.pmk, spec, facts.wrapped_private, facts.public_spki, is_working=works)


_devices: dict[int, Device] = {}


def get_device() -> Device:
    """Return this process's device.

    Raises:
        DeviceError: this kind of process may not use the device (``not_allowed``), or there is no
            PKCS#11 library.

    """
    if settings.KMES_PROCESS in FORBIDDEN_PROCESSES:
        raise DeviceError(
            _("The %(process)s process may not use the device.") % {"process": settings.KMES_PROCESS},
            _("Ask for a job: a cloud worker will do it."),
            code="not_allowed",
        )
    device = _devices.get(os.getpid())
    if device is None:
        # After a fork the parent's connection is void; the session compares the process id.
        inherited = next(iter(_devices.values()), None)
        _devices.clear()
        device = inherited or Device(
            module=find_module(settings.KMES_HSM_MODULE),
            label=settings.KMES_HSM_TOKEN_LABEL,
            pin_file=settings.KMES_HSM_PIN_FILE,
            softhsm_conf=settings.KMES_SOFTHSM_CONF,
        )
        _devices[os.getpid()] = device
    return device
