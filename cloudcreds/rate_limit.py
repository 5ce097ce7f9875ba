"""Keeps each vault's HSM changes below its provider's limit, over all workers, so that none is refused.

The limit counts in a sliding window (docs/azure.md#limits-and-throttling). The moments of the latest
changes are kept with the vault; the next change waits until the first of them has left the window.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from cloudcreds.models import KeyVault
from cloudcreds.provider.registry import provider_for
from cloudcreds.provider.types import ChangeLimit
from kmes.core.clock import now

# Requests take different times to arrive; two that were sent a window apart may arrive closer.
MARGIN_SECONDS = 0.25
# Ignore reservations more than 12 windows ahead; they predate a clock rollback.
FAR_WINDOWS = 12


def limit_of(vault: KeyVault) -> ChangeLimit | None:
    """Return the limit of a vault's HSM changes; None when its provider sets none."""
    return provider_for(vault.credential.service).change_limit(vault.credential.cloud)


def reserve(vault: KeyVault) -> float:
    """Reserve one change in the vault. Return for how many seconds to wait before it is made."""
    limit = limit_of(vault)
    if limit is None:
        return 0.0
    moment = now().timestamp()
    with transaction.atomic():
        row = KeyVault.objects.select_for_update().only("recent_changes").get(pk=vault.pk)
        far = moment + FAR_WINDOWS * limit.seconds
        recent = [at for at in row.recent_changes if at <= far][-limit.changes :]
        at = moment
        if len(recent) == limit.changes:
            at = max(moment, recent[0] + limit.seconds + MARGIN_SECONDS)
        KeyVault.objects.filter(pk=vault.pk).update(recent_changes=[*recent, at][-limit.changes :])
    return at - moment


def confirm(vault: KeyVault) -> None:
    """Move the latest due reservation to now, when its change has been made.

    The vault counts a request when it arrives. On a busy machine that is later than it was reserved for.
    """
    if limit_of(vault) is None:
        return
    moment = now().timestamp()
    with transaction.atomic():
        row = KeyVault.objects.select_for_update().only("recent_changes").get(pk=vault.pk)
        # It makes no difference which of the due reservations it was.
        due = [at for at in row.recent_changes if at <= moment]
        if due:
            later = sorted([*row.recent_changes[: len(due) - 1], moment, *row.recent_changes[len(due) :]])
            KeyVault.objects.filter(pk=vault.pk).update(recent_changes=later)


def seconds_for(changes: int) -> float:
    """Return how long that many changes take at Azure's limit, once the first window is used up."""
    return float(changes * settings.KMES_VAULT_WINDOW_SECONDS / settings.KMES_VAULT_CHANGES)
