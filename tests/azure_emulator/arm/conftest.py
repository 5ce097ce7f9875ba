"""Raw calls to the control plane."""

from __future__ import annotations

from typing import Any, Protocol

import pytest
import requests

from tests.azure_emulator.harness import Emulator

NEWEST = "2026-05-15"


class ArmCall(Protocol):
    def __call__(self, path: str, version: str = NEWEST, method: str = "GET", **options: Any) -> requests.Response: ...


@pytest.fixture
def arm(emulator: Emulator) -> ArmCall:
    token = {"Authorization": f"Bearer {emulator.token('https://management.azure.com/.default')}"}

    def call(path: str, version: str = NEWEST, method: str = "GET", **options: Any) -> requests.Response:
        mark = "&" if "?" in path else "?"
        address = f"{emulator.url()}{path}{mark}api-version={version}"
        return emulator.web.request(method, address, headers=token, **options)

    return call
