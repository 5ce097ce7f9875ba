"""Seals the settings of company sign-on and its links to users, under the key of the web process.

Whoever writes to the database can neither lead sign-ins and the client secret to another provider, nor link an account
to another user: rows that were changed otherwise sign nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from kmes.accounts.company_sign_on.errors import NotAsSaved
from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.second_factor import seals
from kmes.accounts.second_factor.seals import SealError
from kmes.core import known_secrets
from kmes.core.secret_types import SecretText

_PROVIDER, _IDENTITY = "sign-on provider", "sign-on identity"
# What the seal covers: all that decides who gets in, and as what.
COLUMNS = (
    *("name", "is_enabled", "issuer", "client_id", "scopes", "username_claim", "groups_claim", "group_roles"),
    *("unmatched_role", "may_link", "factor_values", "are_local_for_emergencies", "signs_out_there"),
)
# Left out of the hash while off: settings that were saved before releases that have it keep their seal.
_LATER = ("signs_out_there",)


def seal_provider(provider: SignOnProvider, secret: SecretText) -> bytes:
    """Return the seal of the settings as they are, with the client secret.

    Raises:
        SealError: the key can't be read or made.

    """
    content = json.dumps({"digest": _digest(provider), "secret": secret.reveal()})
    return seals.seal(content.encode(), user_id=0, purpose=_PROVIDER)


def open_provider(provider: SignOnProvider) -> SecretText:
    """Return the client secret, if the settings are as an administrator saved them.

    Raises:
        NotAsSaved: they are not, or the key is another one.

    """
    try:
        content = json.loads(seals.open_seal(bytes(provider.sealed), user_id=0, purpose=_PROVIDER))
    except SealError:
        raise NotAsSaved("the seal of the settings does not open") from None
    if not hmac.compare_digest(content["digest"], _digest(provider)):
        raise NotAsSaved("the settings are not as an administrator saved them")
    known_secrets.remember(content["secret"])
    return SecretText(content["secret"])


def seal_identity(identity: SignOnIdentity) -> bytes:
    """Return the seal that binds an account at the provider to its user."""
    return seals.seal(_content(identity), user_id=identity.user_id, purpose=_IDENTITY)


def check_identity(identity: SignOnIdentity) -> None:
    """Refuse a link that this console did not make.

    Raises:
        NotAsSaved: its seal does not open, or names another account or user.

    """
    try:
        content = seals.open_seal(bytes(identity.seal), user_id=identity.user_id, purpose=_IDENTITY)
    except SealError:
        content = b""
    if not hmac.compare_digest(content, _content(identity)):
        raise NotAsSaved(f"the link of {identity.user} to an account of the provider has no valid seal")


def _digest(provider: SignOnProvider) -> str:
    columns = {name: getattr(provider, name) for name in COLUMNS}
    columns = {name: value for name, value in columns.items() if value or name not in _LATER}
    return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()


def _content(identity: SignOnIdentity) -> bytes:
    # JSON, so that no pair of issuer and subject reads like another one.
    return hashlib.sha256(json.dumps([identity.issuer, identity.subject]).encode()).digest()
