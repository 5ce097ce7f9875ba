"""One stand-in per test process, put back to its seed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.keyvault.keys import KeyClient, KeyVaultKey

from tests.azure_emulator.harness import EXTRA_VAULTS, Emulator


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    started = Emulator(tmp_path_factory.mktemp("azure_emulator"), *EXTRA_VAULTS)
    yield started
    started.stop()


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    yield running
    running.control("POST", "reset")


@pytest.fixture
def keys(emulator: Emulator) -> KeyClient:
    return emulator.keys()


@pytest.fixture
def kek(keys: KeyClient) -> KeyVaultKey:
    return keys.create_rsa_key("kek", size=2048, hardware_protected=True, key_operations=["import"])
