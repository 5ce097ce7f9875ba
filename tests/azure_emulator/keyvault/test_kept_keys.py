"""Keys that a test run hands out again: several in a row differ, and all its processes share them."""

from __future__ import annotations

import asyncio

from azure_emulator.keyvault.kept_keys import KEPT, KeptKeys
from azure_emulator.keyvault.pool import KeyPool
from azure_emulator.options import parse_options


def numbers_of(pool: KeyPool, count: int) -> list[int]:
    async def take() -> list[int]:
        return [(await pool.rsa(2048)).public_key().public_numbers().n for _ in range(count)]

    return asyncio.run(take())


def test_kept_keys_come_in_turn_and_are_the_same_in_another_process(tmp_path):
    handed_out = numbers_of(KeyPool(2, KeptKeys(tmp_path)), KEPT + 1)
    assert len(set(handed_out)) == KEPT
    assert handed_out[KEPT] == handed_out[0]
    assert numbers_of(KeyPool(2, KeptKeys(tmp_path)), KEPT + 1) == handed_out


def test_each_key_is_new_unless_a_folder_of_kept_keys_is_named():
    assert parse_options([], {}).kept_keys is None
    assert len(set(numbers_of(KeyPool(0), 3))) == 3
