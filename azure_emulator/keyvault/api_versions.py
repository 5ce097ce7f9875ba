"""The api-versions of the data plane, oldest first, and what each brought.

Owns the list and comparisons. Source: docs/azure.md, "Keys API". Must not know what an
operation does.
"""

from __future__ import annotations

from collections.abc import Mapping

from azure_emulator.keyvault import errors

KNOWN = (
    "2016-10-01", "7.0-preview", "7.0", "7.1-preview", "7.1", "7.2-preview", "7.2", "7.3-preview", "7.3",
    "7.4-preview.1", "7.4", "7.5-preview.1", "7.5", "7.6-preview.1", "7.6-preview.2", "7.6",
    "2025-06-01-preview", "2025-07-01", "2026-01-01-preview", "2026-03-01-preview", "2026-04-01", "2026-05-01-preview",
    "2026-07-01-preview",
)  # fmt: skip
NEWEST_STABLE = next(version for version in reversed(KNOWN) if "preview" not in version)
AGE = {version: place for place, version in enumerate(KNOWN)}

RECOVERABLE_DAYS = "7.1-preview"
EXPORTABLE = "7.3-preview"
RELEASE = ROTATION = RANDOM_BYTES = "7.3-preview"
HSM_PLATFORM = "7.4"
# Seen with 7.6 and later; what earlier versions show is not known.
KEY_SIZE = "7.6"
SECURE_WRAP = EXTERNAL_KEYS = "2026-01-01-preview"


def is_at_least(version: str, first: str) -> bool:
    """Whether ``version`` has what came with ``first``."""
    return AGE[version] >= AGE[first]


def read_api_version(query: Mapping[str, str]) -> str:
    """The api-version that every request must name; 400 for one that never existed. Names are in lower case."""
    given = query.get("api-version", "")
    if not given:
        raise errors.bad_parameter("The request is missing the api-version query parameter.")
    if given.lower() not in AGE:
        raise errors.bad_parameter(
            f"The specified version ({given}) is not recognized. Consider using the latest supported version ({NEWEST_STABLE})."
        )
    return given.lower()
