"""One authorized request to the data plane.

Owns reading the body and the few values each operation needs. Must not act.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azure_emulator import json_input
from azure_emulator.faults.model import Fault
from azure_emulator.keyvault import errors
from azure_emulator.keyvault.formatting import KeyFormatter
from azure_emulator.keyvault.vault import Vault

if TYPE_CHECKING:
    from azure_emulator.state import State


@dataclass
class Call:
    """The request's values, checked as far as is possible without acting."""

    state: State
    vault: Vault
    base: str
    api_version: str
    query: dict[str, str]
    raw_body: bytes
    name: str = ""
    version: str = ""
    operation: str = ""
    fault: Fault | None = None

    @property
    def formatter(self) -> KeyFormatter:
        """Describes keys to this caller."""
        return self.vault.formatter(self.base, self.api_version)

    def body(self) -> dict[str, Any]:
        """The request's JSON object, or 400."""
        try:
            parsed = json_input.parse(self.raw_body)
        except ValueError as error:
            raise errors.bad_parameter("The request body is not valid JSON.") from error
        if not isinstance(parsed, dict):
            raise errors.bad_parameter("The request body must be a JSON object.")
        return parsed

    def peek(self) -> dict[str, Any]:
        """The body where it can be read, else nothing: for checks that come before validation."""
        try:
            parsed = json_input.parse(self.raw_body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}
