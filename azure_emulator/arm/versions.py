"""The api-version rules of Resource Manager.

Owns which versions exist and until when. Source: docs/azure.md, "Resource Manager". Must
not know what a path means.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from azure_emulator.arm.errors import ArmError

FORM = re.compile(r"^(20\d\d-\d\d-\d\d)(-preview)?\Z")
KEY_VAULT = (
    "2014-12-19-preview", "2015-06-01", "2016-10-01", "2018-02-14-preview", "2018-02-14", "2019-09-01",
    "2020-04-01-preview", "2021-04-01-preview", "2021-06-01-preview", "2021-10-01", "2021-11-01-preview",
    "2022-02-01-preview", "2022-07-01", "2022-11-01", "2023-02-01", "2023-07-01", "2024-04-01-preview", "2024-11-01",
    "2024-12-01-preview", "2025-05-01", "2026-02-01", "2026-03-01-preview", "2026-04-01-preview", "2026-04-01",
    "2026-05-15",
)  # fmt: skip
# From this day on, only versions in which new vaults use RBAC by default are served.
ROLES_BY_DEFAULT = "2026-02-01"
OLDER_VERSIONS_END = dt.datetime(2027, 2, 27, tzinfo=dt.UTC).timestamp()


def check_api_version(query: Mapping[str, str], kind: str | None, now: float) -> None:
    """Refuse a missing or malformed version, and one that Key Vault (where ``kind`` is given) does not serve."""
    given = next((value for name, value in query.items() if name.lower() == "api-version"), None)
    if given is None:
        raise ArmError(
            400, "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )  # fmt: skip
    if not is_well_formed(given):
        raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{given}' is invalid.")
    served = served_versions(now)
    if kind is not None and given not in served:
        raise ArmError(
            400, "NoRegisteredProviderFound",
            f"No registered resource provider found for location 'westeurope' and API version '{given}' for type '{kind}'. "
            f"The supported api-versions are '{', '.join(served)}'. The supported locations are 'westeurope'.",
        )  # fmt: skip


def is_well_formed(version: str) -> bool:
    """Whether it is a date that exists, perhaps of a preview."""
    found = FORM.match(version)
    if found is None:
        return False
    try:
        dt.date.fromisoformat(found.group(1))
    except ValueError:
        return False
    return True


def served_versions(now: float) -> tuple[str, ...]:
    """The versions of Key Vault's control plane that are served at this time."""
    if now < OLDER_VERSIONS_END:
        return KEY_VAULT
    return tuple(version for version in KEY_VAULT if version >= ROLES_BY_DEFAULT)
