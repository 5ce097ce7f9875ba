"""Keeps all workers together within each vault's rate limit of HSM changes, so that Azure refuses none.

Azure counts in a sliding window: 10 creates and imports in 10 s (docs/azure.md#limits-and-throttling). The times
of the latest ten are kept with the vault. The next one waits until the tenth before it has left the window.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from cloudcreds.models import KeyVault
from cloudcreds.provider.registry import provider_for
from kmes.core.clock import now

# Requests take different times to arrive: two that were sent a window apart may arrive closer together.
MARGIN_SECONDS = 0.25
# Ignore reservations more than 12 windows ahead; they predate a clock rollback.
FAR_WINDOWS = 12


def is_paced(vault: KeyVault) -> bool:
    """Return whether the vault's provider limits changes."""
    return provider_for(vault.credential.service).change_limit(vault.credential.cloud) is not None


def reserve(vault: KeyVault) -> float:
    """Reserve one change in the vault. Return for how many seconds to wait before it is made."""
    if not is_paced(vault):
        return 0.0
    moment = now().timestamp()
    with transaction.atomic():
        row = KeyVault.objects.select_for_update().only("recent_changes").get(pk=vault.pk)
        far = moment + FAR_WINDOWS * settings.KMES_VAULT_WINDOW_SECONDS
        recent = [at for at in row.recent_changes if at <= far][-settings.KMES_VAULT_CHANGES :]
        at = moment
        if len(recent) == settings.KMES_VAULT_CHANGES:
            at = max(moment, recent[0] + settings.KMES_VAULT_WINDOW_SECONDS + MARGIN_SECONDS)
        KeyVault.objects.filter(pk=vault.pk).update(recent_changes=[*recent, at][-settings.KMES_VAULT_CHANGES :])
    return at - moment


def confirm(vault: KeyVault) -> None:
    """Record that a reserved change has been made by now; a late one moves the reservations after it.

    The vault counts when a request arrives, which on a busy machine is later than the time reserved.
    """
    if not is_paced(vault):
        return
    moment = now().timestamp()
    with transaction.atomic():
        row = KeyVault.objects.select_for_update().only("recent_changes").get(pk=vault.pk)
        # Move the latest reservation that is due; which of them was confirmed makes no difference.
        due = [at for at in row.recent_changes if at <= moment]
        if due:
            later = sorted([*row.recent_changes[: len(due) - 1], moment, *row.recent_changes[len(due) :]])
            KeyVault.objects.filter(pk=vault.pk).update(recent_changes=later)


def seconds_for(count: int) -> float:
    """Return how many seconds ``count`` changes take at the rate limit, after the first burst."""
    return float(count * settings.KMES_VAULT_WINDOW_SECONDS / settings.KMES_VAULT_CHANGES)
