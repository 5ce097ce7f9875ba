"""Seals the policy and the sign-ins of second administrators under the key of the web process.

Whoever writes to the database can neither weaken the policy by changing its row nor put a second administrator into a
session.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn
from kmes.accounts.second_factor import seals
from kmes.accounts.second_factor.seals import SealError

_POLICY, _SIGN_IN = "dual login policy", "second sign-in"
_COLUMNS = ("roles", "actions", "second_roles", "minutes", "lock_version")


def seal_policy(policy: DualLoginPolicy) -> bytes:
    """Return the seal of a policy as it is.

    Raises:
        SealError: the key can't be read or made.

    """
    return seals.seal(_policy_digest(policy), user_id=0, purpose=_POLICY)


def is_policy_genuine(policy: DualLoginPolicy) -> bool:
    """Return whether a policy is as an administrator saved it."""
    return _opens(bytes(policy.seal), 0, _POLICY, _policy_digest(policy))


def seal_sign_in(row: SecondSignIn) -> bytes:
    """Return the seal that binds a second administrator to a session and a time.

    Raises:
        SealError: the key can't be read or made.

    """
    return seals.seal(_sign_in_digest(row), user_id=row.second_id, purpose=_SIGN_IN)


def is_sign_in_genuine(row: SecondSignIn) -> bool:
    """Return whether this console signed the second administrator in."""
    return _opens(bytes(row.seal), row.second_id, _SIGN_IN, _sign_in_digest(row))


def _opens(sealed: bytes, user_id: int, purpose: str, digest: bytes) -> bool:
    try:
        return hmac.compare_digest(seals.open_seal(sealed, user_id=user_id, purpose=purpose), digest)
    except SealError:
        return False


def _policy_digest(policy: DualLoginPolicy) -> bytes:
    return _digest([getattr(policy, name) for name in _COLUMNS])


def _sign_in_digest(row: SecondSignIn) -> bytes:
    return _digest([row.session_id, row.user_id, row.second_id, row.began_at.timestamp(), row.until.timestamp()])


def _digest(values: object) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()
