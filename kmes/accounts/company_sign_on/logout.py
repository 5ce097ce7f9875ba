"""Ends sessions whose user has signed out at the provider (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction

from kmes.accounts import sessions, single_use
from kmes.accounts.company_sign_on import completion, documents, tokens
from kmes.accounts.company_sign_on.actor import PROVIDER
from kmes.accounts.company_sign_on.errors import NotAllowed, SignOnRefused
from kmes.accounts.company_sign_on.identities import linked_subject
from kmes.accounts.company_sign_on.seals import open_provider
from kmes.accounts.company_sign_on.selectors import active_provider
from kmes.accounts.models import User
from logging_reports.services import record


def end_sessions(token: str) -> None:
    """End the sessions that a logout token names: those of one session there, or all of its subject.

    Raises:
        SignOnRefused: the token does not hold, or was used before.

    """
    provider = active_provider()
    if provider is None:
        raise NotAllowed("company sign-on is switched off")
    open_provider(provider)
    metadata = documents.read_metadata(provider.issuer)
    claims = tokens.check_logout_token(token, metadata=metadata, client_id=provider.client_id)
    with transaction.atomic():
        if not single_use.use_up(json.dumps(["logout", metadata.issuer, claims["jti"]]).encode()):
            raise SignOnRefused("the logout token was used before")
        for user in _end(metadata.issuer, claims):
            message = f"{user} signed out at the identity provider; sessions ended"
            record("access.provider_logout", actor=PROVIDER, message=message, data={"user_id": user.pk})


def _end(issuer: str, claims: dict[str, Any]) -> list[User]:
    if isinstance(claims.get("sid"), str) and claims["sid"]:
        digests = [completion.digest_of(issuer, session=claims["sid"])]
        if "sub" in claims:
            # Of the sessions whose ID token did not name the provider's session, any may be the one.
            digests.append(completion.digest_of(issuer, subject=claims["sub"]))
        return sessions.remove_by_sign_on(digests)
    user = linked_subject(issuer, claims["sub"]) if "sub" in claims else None
    return [user] if user is not None and sessions.remove_begun_at_provider(user) else []
