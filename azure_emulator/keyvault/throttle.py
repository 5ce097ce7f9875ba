"""The vault's limit on making keys: 10 HSM and 20 software keys in 10 seconds.

Owns counting; refused requests do not count. Source: docs/azure.md, "Limits and
throttling". Must not count anything else.
"""

from __future__ import annotations

import time

from azure_emulator.keyvault import errors
from azure_emulator.keyvault.vault import Vault

WINDOW_SECONDS = 10.0
LIMITS = {True: 10, False: 20}


def count_creation(vault: Vault, *, is_hsm: bool) -> None:
    """Count one key made, or refuse it."""
    wanted = vault.profile.throttle if vault.profile.throttle is not None else vault.settings.throttle
    if not wanted:
        return
    now = time.monotonic()
    recent = vault.recent_creates[is_hsm]
    while recent and recent[0] <= now - WINDOW_SECONDS:
        recent.popleft()
    if len(recent) >= LIMITS[is_hsm]:
        raise errors.throttled()
    recent.append(now)
