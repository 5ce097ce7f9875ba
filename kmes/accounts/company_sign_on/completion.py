"""What a proven sign-in at the provider leads to: a session, its second step here, or the confirmation of one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.http import HttpRequest

from kmes.accounts.company_sign_on import identities, sign_out
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor import sign_in as local_sign_in
from kmes.accounts.second_factor.services import Factor
from kmes.accounts.second_factor.views import MODEL_BACKEND

_MAX_METHOD = 100
_MAX_METHODS = 10


def sign_in(request: HttpRequest, provider: SignOnProvider, proven: Proven, *, next_url: str) -> bool:
    """Sign in the user of an account. Return False if the second factor has to be proven here first.

    Raises:
        SignOnRefused: there is no such user here, or there may be none.

    """
    user = identities.find_user(provider, proven)
    noted = _noted(proven) | sign_out.noted(provider, proven, user_id=user.pk)
    if not has_factor(provider, proven) and second_factor.has_factor(user):
        local_sign_in.begin(request, user, next_url=next_url, sign_on=noted)
        return False
    factor = Factor.COMPANY if has_factor(provider, proven) else None
    local_sign_in.complete(request, user, factor, backend=MODEL_BACKEND, sign_on=noted)
    return True


def confirm(request: HttpRequest, provider: SignOnProvider, proven: Proven) -> None:
    """Note that the signed-in user has just signed in at the provider again.

    Raises:
        SignOnRefused: it was somebody else, or without the second factor that the settings demand, or there is one here.

    """
    user = identities.linked_user(proven)
    if user is None or user.pk != request.user.pk:
        raise SignOnRefused(
            f"{request.user} confirmed with the account {proven.subject}, which belongs to somebody else"
        )
    # The company's password alone must not stand for it, also where the factor was added meanwhile.
    if second_factor.has_factor(user):
        raise SignOnRefused(f"{request.user} has a second factor here, which has to be proven here")
    if provider.factor_values and not has_factor(provider, proven):
        raise SignOnRefused(f"{request.user} confirmed without a second factor (amr, acr)")
    local_sign_in.note_confirmation(request, Factor.COMPANY)


def has_factor(provider: SignOnProvider, proven: Proven) -> bool:
    """Return whether the provider says that a second factor was proven, in a word that the settings name."""
    return not {*proven.texts("amr"), *proven.texts("acr")}.isdisjoint(provider.factor_values)


def digest_of(issuer: str, *, session: str = "", subject: str = "") -> str:
    """Return by what a session here is found when the provider ends its own. One without an id is named by its subject."""
    return hashlib.sha256(json.dumps([issuer, session, "" if session else subject]).encode()).hexdigest()


def _noted(proven: Proven) -> dict[str, Any]:
    """Return what the session notes."""
    return {
        "session": digest_of(proven.issuer, session=proven.text("sid"), subject=proven.subject),
        "amr": [each[:_MAX_METHOD] for each in proven.texts("amr")[:_MAX_METHODS]],
        "acr": proven.text("acr")[:_MAX_METHOD],
    }
