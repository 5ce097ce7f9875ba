"""What a browser is asked for, and the check of its answer (WebAuthn, level 3), on top of ``fido2``.

``fido2`` compares type, challenge, origin, relying party and flags, and checks the signature. It leaves the algorithm,
frames of other sites, the flags of copies and the id's equality to us. It names no error type: whatever a hostile
answer raises is a refusal.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.translation import gettext as _
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from kmes.accounts.models import User
from kmes.accounts.second_factor.forms import MAX_ANSWER
from kmes.accounts.second_factor.passkeys.challenges import VALID_FOR, Challenge
from kmes.accounts.second_factor.services import FactorRefused

MAX_CREDENTIAL_BYTES = 2_048
NAME = "KMES console"
# ES256, Ed25519 and RS256: what all authenticators have, and Windows Hello on older TPMs.
_ALGORITHMS = (-7, -8, -257)
# WebAuthn, level 3, section 5.8.1: no longer value is a handle.
_MAX_HANDLE_BYTES = 64
_REQUIRED = UserVerificationRequirement.REQUIRED
_FAULTS = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError, AssertionError),
    *(NotImplementedError, struct.error, InvalidSignature, UnsupportedAlgorithm),
)
Result = TypeVar("Result")


@dataclass(frozen=True)
class RelyingParty:
    """For whom passkeys are made: the domain, and the origins of pages that may ask for them."""

    domain: str
    origins: frozenset[str]

    def is_own(self, origin: Any) -> bool:
        """Return whether a page of this origin belongs to the domain and to this console."""
        if not isinstance(origin, str) or origin.lower() not in self.origins:
            return False
        host = urlsplit(origin).hostname or ""
        return host == self.domain or host.endswith(f".{self.domain}")

    def server(self) -> Fido2Server:
        """Return the checker of answers for it."""
        found = Fido2Server(
            PublicKeyCredentialRpEntity(name=NAME, id=self.domain),
            attestation=AttestationConveyancePreference.NONE,
            verify_origin=self.is_own,
        )
        kind = PublicKeyCredentialType.PUBLIC_KEY
        found.allowed_algorithms = [PublicKeyCredentialParameters(type=kind, alg=each) for each in _ALGORITHMS]
        found.timeout = int(VALID_FOR.total_seconds() * 1000)  # type: ignore[assignment]
        return found


@dataclass(frozen=True)
class NewCredential:
    """What an authenticator made: the id and public key as one, and the state of its counter."""

    digest: str
    data: bytes
    sign_count: int
    is_synced: bool


@dataclass(frozen=True)
class Answer:
    """An authenticator's answer to a challenge, not yet checked."""

    digest: str
    handle: bytes | None
    fields: dict[str, Any]


def domain_of(request: HttpRequest) -> str:
    """Return the domain of passkeys here; "" where the console is opened by an address, for which there are none."""
    host: str = settings.KMES_PASSKEY_DOMAIN or split_domain_port(request.get_host())[0]
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    return ""


def party_of(request: HttpRequest) -> RelyingParty:
    """Return the relying party of a request, whose host Django has compared with the allowed ones.

    Raises:
        FactorRefused: the console was opened by an address, or by a name outside the domain.

    """
    domain = domain_of(request)
    if not domain:
        raise FactorRefused(
            _("Passkeys need a host name: browsers make none for an address."),
            _("Open the console by its name, on this machine as localhost."),
            field="passkey",
        )
    origins = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    party = RelyingParty(domain, frozenset(each.lower() for each in origins))
    if not any(map(party.is_own, party.origins)):
        raise FactorRefused(
            _("The passkeys of this console are for the name %(domain)s.") % {"domain": domain},
            _("Open the console by that name."),
            field="passkey",
        )
    return party


def options_to_add(party: RelyingParty, challenge: Challenge, *, user: User, known: Iterable[bytes]) -> dict[str, Any]:
    """Return what the browser is asked for so that it makes a passkey; not on an authenticator that has one."""
    options, _state = party.server().register_begin(
        PublicKeyCredentialUserEntity(
            id=challenge.handle, name=user.get_username(), display_name=user.get_full_name() or user.get_username()
        ),
        credentials=[AttestedCredentialData(each) for each in known],
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=_REQUIRED,
        challenge=challenge.value,
    )
    return dict(_plain(options.public_key))


def options_to_prove(party: RelyingParty, challenge: Challenge, *, known: Iterable[bytes] = ()) -> dict[str, Any]:
    """Return what the browser is asked for so that a passkey signs; without known ones, any of this domain."""
    options, _state = party.server().authenticate_begin(
        credentials=[AttestedCredentialData(each) for each in known],
        user_verification=_REQUIRED,
        challenge=challenge.value,
    )
    return dict(_plain(options.public_key))


def _plain(value: Any) -> Any:
    """Return a mapping of ``fido2`` as JSON can hold it."""
    if isinstance(value, str | int | None):
        return value if isinstance(value, bool | int | None) else str(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {key: _plain(value[key]) for key in value}


def check_new(party: RelyingParty, challenge: Challenge, sent: str) -> NewCredential:
    """Check the answer of an authenticator that made a passkey.

    Raises:
        FactorRefused: it is none, or not one for this challenge and console.

    """

    def check() -> NewCredential:
        answer = RegistrationResponse.from_dict(_fields(sent))
        state = {"challenge": _text(challenge), "user_verification": _REQUIRED}
        found = party.server().register_complete(state, answer)
        _refuse_frames(answer.response.client_data.cross_origin)
        credential = found.credential_data
        if credential is None or credential.credential_id != answer.raw_id:
            raise ValueError("no credential, or another one")
        if len(credential) > MAX_CREDENTIAL_BYTES or credential.public_key[3] not in _ALGORITHMS:
            raise ValueError("too long, or of another algorithm")
        _refuse_unusable(credential)
        return NewCredential(_digest(answer.raw_id), bytes(credential), found.counter, _is_synced(found))

    return _refusing(check)


def read_answer(sent: str) -> Answer:
    """Return an answer that names its passkey.

    Raises:
        FactorRefused: it is none.

    """

    def read() -> Answer:
        fields = _fields(sent)
        answer = AuthenticationResponse.from_dict(fields)
        handle = answer.response.user_handle
        if handle is not None and len(handle) > _MAX_HANDLE_BYTES:
            raise ValueError("too long")
        return Answer(_digest(answer.raw_id), handle, fields)

    return _refusing(read)


def check_answer(
    party: RelyingParty, challenge: Challenge, answer: Answer, *, credential: bytes, is_synced: bool
) -> int:
    """Check that the holder of a passkey has answered a challenge, with user verification. Return its counter.

    Raises:
        FactorRefused: it is not so.

    """

    def check() -> int:
        state = {"challenge": _text(challenge), "user_verification": _REQUIRED}
        party.server().authenticate_complete(state, [AttestedCredentialData(credential)], answer.fields)
        response = AuthenticationResponse.from_dict(answer.fields).response
        _refuse_frames(response.client_data.cross_origin)
        if _is_synced(response.authenticator_data) != is_synced:
            raise ValueError("its kind changed, which is for good")
        return int(response.authenticator_data.counter)

    return _refusing(check)


def _refusing(check: Callable[[], Result]) -> Result:
    try:
        return check()
    except _FAULTS:
        raise FactorRefused(
            _("This passkey was not accepted."), _("Try again, or another one."), field="passkey"
        ) from None


def _fields(sent: str) -> dict[str, Any]:
    if len(sent) > MAX_ANSWER:
        raise ValueError("too long")
    found = json.loads(sent)
    if not isinstance(found, dict):
        raise TypeError("no answer")
    return found


def _text(challenge: Challenge) -> str:
    return websafe_encode(challenge.value)


def _digest(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()


def _refuse_frames(is_cross_origin: Any) -> None:
    # No page of the console may be framed, so an answer from a frame is none of ours.
    if is_cross_origin is not False:
        raise ValueError("from a frame of another site")


def _refuse_unusable(credential: AttestedCredentialData) -> None:
    """Refuse a public key with which no signature can be checked; one that can says that this is none."""
    try:
        credential.public_key.verify(b"", b"")
    except InvalidSignature:
        return
    raise ValueError("no usable key")


def _is_synced(data: AuthenticatorData) -> bool:
    if data.is_backed_up() and not data.is_backup_eligible():
        raise ValueError("WebAuthn, level 3, section 6.1.3: these flags don't go together")
    return data.is_backup_eligible()
