"""Each line of a vault's readiness in each of its states."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.models import KeyVault, VaultConfiguration
from cloudcreds.readiness import STALE_AFTER, Line, lines_of
from kmes.core.clock import now
from tests.cloudcreds.builders import make_group

NAMES = ["Access model", "Tier", "Soft-delete", "Purge protection", "Network", "Azure Policy", "Ephemeral key"]


@pytest.fixture
def vault(credential):
    """A vault of which nothing is known."""
    return make_group(credential).vault


def configure(vault, **values):
    values = {
        "access_model": "roles", "public_access": True, "firewall": False, "private_endpoints": 0, "read_at": now()
    } | values  # fmt: skip
    VaultConfiguration.objects.update_or_create(vault=vault, defaults=values)


def line(vault, name, **values):
    """One line as it shows after these values were recorded."""
    KeyVault.objects.filter(pk=vault.pk).update(**values)
    return {one.name: one for one in lines_of(KeyVault.objects.get(pk=vault.pk))}[name]


def test_what_was_not_read_is_said_so_and_raises_no_alarm(vault):
    lines = lines_of(vault)
    assert [one.name for one in lines] == NAMES
    assert [one.word for one in lines] == ["Not read yet"] * 5 + ["Not known", "Usual"]
    assert {one.colour for one in lines[:-1]} == {"neutral"}
    assert all("List Key Vaults" in one.cure for one in lines[:-1])


@pytest.mark.parametrize(
    ("model", "word", "colour", "said"),
    [
        ("roles", "Azure RBAC", "good", "Key Vault Crypto Officer"),
        ("policies", "Access policies", "warning", "2027-02-27"),
    ],
)
def test_the_access_model(model, word, colour, said, vault):
    configure(vault, access_model=model)
    found = line(vault, "Access model")
    assert (found.word, found.colour, found.cis) == (word, colour, "8.3.6")
    assert said in found.meaning


@pytest.mark.parametrize(
    ("tier", "word", "colour"),
    [("premium", "Premium", "good"), ("standard", "Standard", "bad"), ("unknown", "Not read yet", "neutral")],
)
def test_the_tier(tier, word, colour, vault):
    found = line(vault, "Tier", tier=tier)
    assert (found.word, found.colour) == (word, colour)


@pytest.mark.parametrize(
    ("level", "days", "soft", "protection"),
    [
        ("Recoverable", 90, ("On", "good"), ("On", "good")),
        ("CustomizedRecoverable+Purgeable", 7, ("On", "good"), ("Off", "warning")),
        ("Purgeable", None, ("Off", "bad"), ("Off", "warning")),
    ],
)
def test_deletion(level, days, soft, protection, vault):
    found = line(vault, "Soft-delete", recovery_level=level, recoverable_days=days)
    assert (found.word, found.colour) == soft
    assert (f"{days} days" in found.meaning) == (days is not None)
    found = line(vault, "Purge protection")
    assert (found.word, found.colour, found.cis) == (*protection, "8.3.5")


@pytest.mark.parametrize(
    ("values", "word", "colour", "has_cure"),
    [
        ({}, "Public", "warning", True),
        ({"firewall": True, "private_endpoints": 1}, "Firewall", "info", True),
        ({"public_access": False, "private_endpoints": 2}, "Private", "good", False),
        ({"public_access": False}, "Closed", "bad", True),
    ],
)
def test_the_network(values, word, colour, has_cure, vault):
    configure(vault, **values)
    found = line(vault, "Network")
    assert (found.word, found.colour, found.cis, bool(found.cure)) == (word, colour, "8.3.7, 8.3.8", has_cure)


def policy(rule, value=None, *, denies=True, title="A policy"):
    return {"rule": rule, "value": value, "denies": denies, "title": title}


@pytest.mark.parametrize(
    ("policies", "word", "colour", "said"),
    [
        ([], "None denies", "good", ""),
        ([policy("rotation_scheduled", 90, denies=False)], "None denies", "good", "does not comply by nature"),
        (
            [policy("minimum_rsa_bits", 4096)],
            "1 denies",
            "info",
            "A policy (4096): denies. It also concerns the ephemeral",
        ),
        (
            [policy("curves", ["P-256", "P-384"]), policy("hsm_only")],
            "2 deny",
            "info",
            "A policy (P-256, P-384): denies.",
        ),
        ([policy("initiative", denies=False, title="ASC")], "None known", "neutral", "Initiative “ASC”"),
        ([policy("key_types", ["EC-HSM"])], "Bars BYOK", "bad", "A policy (EC-HSM): denies."),
    ],
)
def test_policies(policies, word, colour, said, vault):
    configure(vault)
    found = line(vault, "Azure Policy", policies=policies)
    assert (found.word, found.colour) == (word, colour)
    assert said in " ".join(found.details)
    assert len(found.details) == len(policies)


@pytest.mark.parametrize(
    ("bits", "days", "word", "said"),
    [
        (None, None, "Usual", "has refused no ephemeral key"),
        (4096, None, "Fitted", "at least 4096 bits."),
        (4096, 100, "Fitted", "at least 4096 bits, valid for 100 days"),
    ],
)
def test_the_ephemeral_key(bits, days, word, said, vault):
    found = line(vault, "Ephemeral key", kek_bits=bits, kek_days=days)
    assert found.word == word
    assert said in found.meaning


def test_what_was_read_long_ago_is_marked_as_old(vault):
    configure(vault, read_at=now() - STALE_AFTER - timedelta(minutes=1))
    assert line(vault, "Network").is_stale
    configure(vault)
    assert not line(vault, "Network").is_stale
    assert not Line("a", "b", "good", "c").is_stale
