"""What policies of a vault leave of its ephemeral keys and of its keys."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.kek_shapes import KekShape
from cloudcreds.key_rules import rules_of
from cloudcreds.provider.types import VaultInfo
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule, VaultSetup
from cloudcreds.vaults import record_listed
from hsm.types import KeySpec
from tests.cloudcreds.builders import make_group


def policy(rule, value=None, *, denies=True):
    return PolicyAssignment(rule, "A policy", denies=denies, value=value)


def rules(*policies):
    return rules_of([policy(*one) for one in policies])


@pytest.mark.parametrize(
    ("policies", "bits", "expected"),
    [
        ([], 3072, KekShape(3072)),
        ([(Rule.MINIMUM_RSA_BITS, 4096)], 3072, KekShape(4096)),
        ([(Rule.MINIMUM_RSA_BITS, 2048)], 3072, KekShape(3072)),
        ([(Rule.MINIMUM_RSA_BITS, 8192)], 3072, None),
        ([(Rule.MINIMUM_DAYS, 30)], 3072, KekShape(3072, 31)),
        ([(Rule.MINIMUM_DAYS, 30), (Rule.MAXIMUM_DAYS, 31)], 2048, KekShape(2048, 31)),
        ([(Rule.MINIMUM_DAYS, 30), (Rule.MAXIMUM_DAYS, 30)], 2048, None),
        ([(Rule.MAXIMUM_DAYS, 1)], 2048, KekShape(2048)),
        ([(Rule.KEY_TYPES, ["EC", "EC-HSM"])], 2048, None),
        ([(Rule.KEY_TYPES, ["RSA"])], 2048, None),
        ([(Rule.KEY_TYPES, ["RSA-HSM", "EC-HSM"])], 2048, KekShape(2048)),
        ([(Rule.EXPIRY_NEEDED,), (Rule.HSM_ONLY,), (Rule.CURVES, ["P-384"])], 2048, KekShape(2048)),
        ([(Rule.MAXIMUM_AGE, 1), (Rule.ROTATION_SCHEDULED, 90)], 2048, KekShape(2048)),
    ],
)
def test_the_kek_is_fitted_where_it_can_be(policies, bits, expected):
    found = rules(*policies)
    assert found.fit_kek(bits) == expected
    assert bool(found.why_no_kek()) == (expected is None)


@pytest.mark.parametrize(
    ("policies", "spec", "days", "said"),
    [
        ([(Rule.EXPIRY_NEEDED,)], KeySpec.P_256, None, "requires an expiry"),
        ([(Rule.EXPIRY_NEEDED,)], KeySpec.P_256, 90, ""),
        ([(Rule.MAXIMUM_DAYS, 90)], KeySpec.P_256, 91, "valid for 90 days at most"),
        ([(Rule.MAXIMUM_DAYS, 90)], KeySpec.P_256, 90, ""),
        ([(Rule.MAXIMUM_DAYS, 90)], KeySpec.P_256, None, ""),
        ([(Rule.MINIMUM_DAYS, 30)], KeySpec.P_256, 30, "live for more than 30 days"),
        ([(Rule.MINIMUM_DAYS, 30)], KeySpec.P_256, 31, ""),
        (
            [(Rule.CURVES, ["P-384", "P-521"])],
            KeySpec.P_256,
            90,
            "these curves only: P-384, P-521. This key is on P-256",
        ),
        ([(Rule.CURVES, ["P-384"])], KeySpec.RSA_2048, 90, ""),
        ([(Rule.MINIMUM_RSA_BITS, 3072)], KeySpec.RSA_2048, 90, "3072 bits or more. This key has 2048"),
        ([(Rule.MINIMUM_RSA_BITS, 4096)], KeySpec.P_256, 90, ""),
        ([(Rule.KEY_TYPES, ["RSA-HSM"])], KeySpec.P_256, 90, "these types only: RSA-HSM. This key is EC-HSM"),
        ([(Rule.KEY_TYPES, ["EC-HSM"])], KeySpec.P_256, 90, "BYOK needs an ephemeral RSA key"),
        ([(Rule.MINIMUM_DAYS, 90), (Rule.MAXIMUM_DAYS, 60)], KeySpec.P_256, 91, "contradict each other"),
        ([(Rule.HSM_ONLY,)], KeySpec.P_256, None, ""),
        ([(Rule.MAXIMUM_AGE, 1)], KeySpec.P_256, None, ""),
        ([(Rule.ROTATION_SCHEDULED, 90)], KeySpec.P_256, None, ""),
    ],
)
def test_a_key_that_would_be_refused_is_told_why(policies, spec, days, said):
    why = rules(*policies).why_not(spec, timedelta(days=days) if days else None)
    assert (said in " ".join(why)) if said else why == []


def test_the_strictest_of_several_assignments_counts_and_audit_refuses_nothing():
    found = rules_of(
        [
            policy(Rule.MINIMUM_RSA_BITS, 2048),
            policy(Rule.MINIMUM_RSA_BITS, 3072),
            policy(Rule.MAXIMUM_DAYS, 90),
            policy(Rule.MAXIMUM_DAYS, 365),
            policy(Rule.CURVES, ["P-256", "P-384"]),
            policy(Rule.CURVES, ["P-384", "P-521"]),
            policy(Rule.EXPIRY_NEEDED, denies=False),
        ]
    )
    assert (found.minimum_rsa_bits, found.maximum_days, found.curves) == (3072, 90, {"P-384"})
    assert not found.needs_expiry


def test_a_value_that_could_not_be_read_refuses_nothing():
    assert rules((Rule.MINIMUM_RSA_BITS, None), (Rule.KEY_TYPES, None)) == rules_of([])


# --- what a listing leaves on the vault ----------------------------------------------------------
def listed(vault, policies):
    setup = VaultSetup("roles", public_access=True, firewall=False, private_endpoints=0, policies=policies)
    info = VaultInfo("kv-one", vault.url, "premium", True, 90, False, setup)
    found = record_listed(vault.credential, info)
    return found.policies, found.kek_bits, found.kek_days


def test_policies_that_were_read_set_the_kek_and_their_end_sets_the_usual_one(credential):
    vault = make_group(credential).vault
    rows, *kek = listed(vault, (policy(Rule.MINIMUM_RSA_BITS, 4096), policy(Rule.MINIMUM_DAYS, 30)))
    assert kek == [4096, 31]
    assert [row["rule"] for row in rows] == ["minimum_rsa_bits", "minimum_days"]
    assert listed(vault, ()) == ([], None, None)


def test_what_was_learned_by_trying_stays_while_not_all_policies_are_known(credential):
    vault = make_group(credential).vault
    vault.kek_bits, vault.kek_days = 4096, 100
    vault.save()
    assert listed(vault, None) == (None, 4096, 100)
    assert listed(vault, (policy(Rule.INITIATIVE, denies=False),))[1:] == (4096, 100)
    assert listed(vault, ())[1:] == (None, None)
    assert vault.configuration.access_model == "roles"
