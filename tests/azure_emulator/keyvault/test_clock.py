"""The vaults' clock may differ from this machine's: stamps and expiry go by it, tokens don't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey, KeyClient

from tests.azure_emulator.blobs import blob_for, ec_key
from tests.azure_emulator.harness import Emulator

HOUR, CLOSE = timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize("skew", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_stamps_are_by_the_vaults_clock_and_the_token_stays_good(emulator: Emulator, keys: KeyClient, skew: timedelta):
    keys.create_ec_key("before", hardware_protected=True)
    emulator.control("POST", "settings", {"clock_skew_seconds": skew.total_seconds()})
    there = datetime.now(UTC) + skew
    made = keys.create_ec_key("payments", hardware_protected=True)
    assert abs(made.properties.created_on - there) < CLOSE
    assert abs(keys.update_key_properties("before", enabled=False).properties.updated_on - there) < CLOSE
    assert abs(keys.begin_delete_key("payments").result().deleted_date - there) < CLOSE
    keys.purge_deleted_key("payments")
    emulator.control("POST", "settings", {"clock_skew_seconds": 0})


def test_a_key_exchange_key_ends_by_the_vaults_clock(emulator: Emulator, keys: KeyClient):
    kek = keys.create_rsa_key(
        "kek",
        size=2048,
        hardware_protected=True,
        key_operations=["import"],
        expires_on=datetime.now(UTC) + HOUR - CLOSE,
    )
    key = JsonWebKey(kty="EC-HSM", crv="P-256", t=blob_for(kek, ec_key("P-256")).encoded())
    emulator.control("POST", "settings", {"clock_skew_seconds": HOUR.total_seconds()})
    with pytest.raises(HttpResponseError):
        keys.import_key("pushed", key, hardware_protected=True)
    emulator.control("POST", "settings", {"clock_skew_seconds": 0})
    assert keys.import_key("pushed", key, hardware_protected=True).name == "pushed"
