"""Recovery codes: random, shown once, stored as hashes, each good for one sign-in without the app."""

from __future__ import annotations

import hashlib
import re
import secrets

from kmes.accounts.models import RecoveryCode, User
from kmes.core.clock import now
from kmes.core.secret_types import SecretText

COUNT = 10
# 24 letters and digits without similar ones: 118 bits, so that a plain hash is enough (docs/access.md).
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 6, 4
LENGTH = _GROUPS * _GROUP_LENGTH
_FILLING = re.compile(r"[\s-]+")


def make(user: User) -> list[SecretText]:
    """Replace a user's codes. Return the new ones, which are stored nowhere in clear. Call inside a transaction."""
    codes = ["".join(secrets.choice(_ALPHABET) for _each in range(LENGTH)) for _code in range(COUNT)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, digest=_digest(user, code)) for code in codes])
    return [SecretText(_grouped(code)) for code in codes]


def use(user: User, typed: str) -> bool:
    """Use up the code that was typed. Return whether there is such an unused one. Safe against two uses at once."""
    code = _FILLING.sub("", typed).lower()
    unused = RecoveryCode.objects.filter(user=user, digest=_digest(user, code), used_at=None)
    return unused.update(used_at=now()) == 1


def left(user: User) -> int:
    """Return how many unused codes a user has."""
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def _digest(user: User, code: str) -> str:
    return hashlib.sha256(f"kmes.recovery.1:{user.pk}:{code}".encode()).hexdigest()


def _grouped(code: str) -> str:
    return "-".join(code[start : start + _GROUP_LENGTH] for start in range(0, LENGTH, _GROUP_LENGTH))
