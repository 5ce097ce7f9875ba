"""What a form of a request proves: a code of an app, a recovery code, or the answer of a passkey."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from kmes.accounts import client_address
from kmes.accounts.models import User
from kmes.accounts.second_factor import services
from kmes.accounts.second_factor.forms import ProofForm
from kmes.accounts.second_factor.passkeys import ceremonies, challenges
from kmes.accounts.second_factor.passkeys import services as passkeys
from kmes.accounts.second_factor.passkeys.challenges import Purpose
from kmes.accounts.second_factor.services import Factor

_OPTIONS = {
    Purpose.SECOND_STEP: "accounts:second_step_options",
    Purpose.CONFIRM: "accounts:passkey_options",
    Purpose.SECOND: "accounts:second_administrator_options",
}


def form_for(request: HttpRequest, user: User) -> ProofForm:
    """Return the form that asks a user for a proof."""
    return ProofForm(request.POST or None, has_app=services.has_app(user))


def context_for(request: HttpRequest, user: User, purpose: Purpose) -> dict[str, Any]:
    """Return what the template of such a form shows: whether the user has a passkey to use here, and an app."""
    domain = ceremonies.domain_of(request)
    has_passkey = bool(domain) and passkeys.list_passkeys(user).filter(domain=domain).exists()
    return {"passkey_options": reverse(_OPTIONS[purpose]) if has_passkey else "", "has_app": services.has_app(user)}


def response_of(request: HttpRequest, sent: str, purpose: Purpose, *, user_id: int | None = None) -> passkeys.Response:
    """Return the answer of a passkey with what it has to be checked against.

    Raises:
        FactorRefused: it is none, or this session was given no challenge for this purpose.

    """
    party = ceremonies.party_of(request)
    challenge = challenges.given(request, purpose, user_id=user_id)
    return passkeys.Response(party, challenge, ceremonies.read_answer(sent))


def prove(request: HttpRequest, user: User, form: ProofForm, purpose: Purpose) -> Factor:
    """Check a valid form. Return what was proven.

    Raises:
        FactorRefused: it proves nothing, or there were too many failures.
        SealError: the factor's seal can't be opened.

    """
    address, sent = client_address.of_request(request), form.cleaned_data["passkey"]
    if not sent:
        return services.prove(user=user, code=form.cleaned_data["code"], address=address)
    response = response_of(request, sent, purpose, user_id=user.pk)
    return passkeys.prove(user=user, response=response, address=address)
