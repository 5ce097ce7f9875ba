"""What proves something once only: the answer to a passkey's challenge, an answer of the identity provider, a logout token.

Each leaves the row of its hash; of two that come at the same moment one is refused.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.db import IntegrityError, transaction

from kmes.accounts.models import UsedChallenge
from kmes.core.clock import now

# Longer than any of them is valid.
KEPT_FOR = timedelta(minutes=30)


def use_up(value: bytes) -> bool:
    """Note that a value was used. Return whether this is the first time. Call inside a transaction."""
    moment = now()
    UsedChallenge.objects.filter(at__lt=moment - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            UsedChallenge.objects.create(digest=hashlib.sha256(value).hexdigest(), at=moment)
    except IntegrityError:
        return False
    return True
