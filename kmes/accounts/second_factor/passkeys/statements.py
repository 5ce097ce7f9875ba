"""Has a user sign statements with a passkey: the challenge is made of them, and the answer is kept to be checked later.

What is stored holds no secret; ``kmes.core.passkey_proofs`` checks it without this package.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from fido2.webauthn import AttestedCredentialData, AuthenticationResponse

from kmes.accounts import client_address
from kmes.accounts.models import User
from kmes.accounts.second_factor.passkeys import ceremonies, challenges, registered_keys, services
from kmes.accounts.second_factor.passkeys.challenges import Challenge, Purpose
from kmes.accounts.second_factor.passkeys.public_keys import public_key_of
from kmes.accounts.second_factor.services import FactorRefused
from kmes.core.passkey_proofs import challenge_of


def signs(user: User) -> bool:
    """Return whether a user has a passkey, with which statements have to be signed."""
    return services.list_passkeys(user).exists()


def challenge_for(given: Challenge, statements: Sequence[str]) -> Challenge:
    """Return the challenge that a passkey signs for these statements (digests in hex), from what a session was given."""
    return Challenge(challenge_of(given.value.hex(), statements))


def sign(request: HttpRequest, user: User, sent: str, statements: Sequence[str]) -> dict[str, Any]:
    """Check the answer of a user's passkey to the challenge of these statements. Return what proves it.

    Raises:
        FactorRefused: it is none, it signs something else, or there were too many failures.
        SealError: the passkey's seal can't be opened.

    """
    party = ceremonies.party_of(request)
    given = challenges.given(request, Purpose.STATEMENTS, user_id=user.pk)
    answer = ceremonies.read_answer(sent)
    response = services.Response(party, challenge_for(given, statements), answer)
    services.prove(user=user, response=response, address=client_address.of_request(request))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        passkey = services.list_passkeys(user).filter(digest=answer.digest).first()
        if passkey is None:
            raise FactorRefused(_("This passkey was removed meanwhile."), _("Use another one."), field="passkey")
        credential = services.open_credential(passkey)
        public_key = public_key_of(credential)
        registered_keys.record_if_missing(user, passkey, public_key)
    signed = AuthenticationResponse.from_dict(answer.fields).response
    return {
        "domain": passkey.domain,
        "credential_id": _text(AttestedCredentialData(credential).credential_id),
        "public_key": _text(public_key),
        "nonce": given.value.hex(),
        "statements": list(statements),
        "client_data": _text(bytes(signed.client_data)),
        "authenticator_data": _text(bytes(signed.authenticator_data)),
        "signature": _text(signed.signature),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
