"""What every provider must do, tried on Azure against the stand-in and on the cloud in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.recovery import has_soft_delete, is_purge_protected
from cloudcreds.provider.send_deadline import SendBy
from cloudcreds.provider.signatures import is_signature_of_key
from cloudcreds.provider.types import RotationPolicy
from hsm.types import KeySpec
from kmes.core.clock import now
from kmes.core.errors import InputError
from logging_reports.choices import Severity

ALL = ("get", "list", "create", "import", "update", "delete", "recover", "purge", "sign")
PKCS8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
KEK = "kmes-kek-t"


def make_kek(gateway, name=KEK):
    return gateway.create_kek(name, 2048, expires_on=now() + timedelta(hours=2), tags={"kmes-app": "kmes"})


def wrap(kek, plaintext):
    """Wrap bytes under a KEK without our device."""
    aes = bytes(range(32))
    public = rsa.RSAPublicNumbers(kek.exponent, kek.modulus).public_key()
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    return public.encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, plaintext)


def push(gateway, private=None, *, name="k", **changes):
    private = private or ec.generate_private_key(ec.SECP256R1())
    kek = gateway.read_kek(KEK, 2048) or make_kek(gateway)
    values = {
        "spec": KeySpec.P_256,
        "blob": gateway.build_transfer_blob(kek, wrap(kek, private.private_bytes(*PKCS8))),
        "key_ops": ["sign", "verify"],
        "enabled": True,
        "expires_on": None,
        "tags": {"kmes-key": "1"},
    } | changes
    return gateway.import_key(name, **values)


def refused(call):
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


# --- keys --------------------------------------------------------------------------------------
def test_what_is_imported_comes_back_with_its_public_half(subject):
    gateway, private = subject.gateway(), ec.generate_private_key(ec.SECP256R1())
    expires = (now() + timedelta(days=30)).replace(microsecond=0)
    made = push(gateway, private, expires_on=expires, enabled=False)
    assert made.public_spki == private.public_key().public_bytes(*SPKI)
    assert (made.enabled, made.expires_on, made.tags) == (False, expires, {"kmes-key": "1"})
    assert set(made.key_ops) == {"sign", "verify"}
    assert gateway.get_key("k", made.version) == gateway.get_key("k") == made
    (row,) = gateway.list_versions("k")
    assert (row.version, row.kid, row.enabled, row.tags) == (made.version, made.kid, False, made.tags)


def test_the_version_imported_last_is_the_current_one(subject):
    gateway = subject.gateway()
    first, second = push(gateway), push(gateway)
    assert first.version != second.version
    assert gateway.get_key("k").version == second.version
    assert {row.version for row in gateway.list_versions("k")} == {first.version, second.version}


def test_an_rsa_key_is_taken_as_well(subject):
    private = rsa.generate_private_key(65537, 2048)
    made = push(subject.gateway(), private, spec=KeySpec.RSA_2048, key_ops=["wrapKey", "unwrapKey"])
    assert made.public_spki == private.public_key().public_bytes(*SPKI)


@pytest.mark.parametrize("damage", ["no blob", "bits", "another kek", "another type", "trailing bytes"])
def test_a_wrong_blob_is_refused_and_says_nothing_of_the_next_key(damage, subject):
    gateway = subject.gateway()
    kek, other = make_kek(gateway), make_kek(gateway, "kmes-kek-other")
    der = ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8)
    good = wrap(kek, der)
    blob, spec = {
        "no blob": (b"{}", KeySpec.P_256),
        "bits": (gateway.build_transfer_blob(kek, good[:-1] + bytes([good[-1] ^ 1])), KeySpec.P_256),
        "another kek": (gateway.build_transfer_blob(other, good), KeySpec.P_256),
        "another type": (gateway.build_transfer_blob(kek, good), KeySpec.P_384),
        "trailing bytes": (gateway.build_transfer_blob(kek, wrap(kek, der + b"\x00" * 5)), KeySpec.P_256),
    }[damage]
    error = refused(lambda: push(gateway, blob=blob, spec=spec))
    assert (error.kind, error.is_about_one_key, error.retryable) == (CloudErrorKind.REFUSED_INPUT, True, False)
    assert gateway.list_versions("k") == []


def test_an_update_sets_what_is_given_and_leaves_the_rest(subject):
    gateway = subject.gateway()
    made = push(gateway)
    changed = gateway.update_version("k", made.version, enabled=False)
    assert (changed.enabled, changed.tags, changed.key_ops) == (False, made.tags, made.key_ops)
    changed = gateway.update_version("k", made.version, operations=["sign"], tags={"a": "b"})
    assert (changed.enabled, changed.tags, changed.key_ops) == (False, {"a": "b"}, ("sign",))
    starts = now().replace(microsecond=0) + timedelta(days=1)
    changed = gateway.update_version("k", made.version, not_before=starts)
    (listed,) = gateway.list_versions("k")
    assert changed.not_before == listed.not_before == starts
    assert (changed.enabled, changed.tags, changed.expires_on) == (False, {"a": "b"}, made.expires_on)
    assert refused(lambda: gateway.update_version("k", "0" * 32, enabled=True)).kind == CloudErrorKind.NOT_FOUND


def test_what_is_missing_is_none_and_no_error(subject):
    gateway = subject.gateway()
    assert gateway.read_kek("nothing", 2048) is None
    assert gateway.get_key("nothing") is None
    assert gateway.get_deleted("nothing") is None
    assert gateway.list_versions("nothing") == []
    assert {note.severity for note in subject.notes.calls if note.event == "azure.key_read"} == {Severity.INFO}


def test_a_key_is_deleted_recovered_and_purged_as_a_whole(subject):
    gateway = subject.gateway()
    push(gateway)
    push(gateway)
    deleted = gateway.delete_key("k")
    assert deleted.recovery_id
    assert gateway.list_versions("k") == []
    assert gateway.get_deleted("k").scheduled_purge_on > gateway.get_deleted("k").deleted_on
    assert refused(lambda: push(gateway)).kind == CloudErrorKind.SOFT_DELETED
    gateway.recover_key("k")
    assert len(gateway.list_versions("k")) == 2
    gateway.delete_key("k")
    gateway.purge_key("k")
    assert gateway.get_deleted("k") is None
    assert refused(lambda: gateway.purge_key("k")).kind == CloudErrorKind.NOT_FOUND
    assert refused(lambda: gateway.delete_key("k")).kind == CloudErrorKind.NOT_FOUND


def test_a_kek_imports_only_until_it_is_deleted(subject):
    gateway = subject.gateway()
    kek = make_kek(gateway)
    blob = gateway.build_transfer_blob(kek, wrap(kek, ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8)))
    assert abs(kek.lifetime - timedelta(hours=2)) < timedelta(seconds=30)
    gateway.delete_key(KEK)
    gateway.purge_key(KEK)
    assert refused(lambda: push(gateway, blob=blob)).kind == CloudErrorKind.REFUSED_INPUT


@pytest.mark.parametrize(
    ("spec", "private"),
    [
        (KeySpec.P_256, ec.generate_private_key(ec.SECP256R1())),
        (KeySpec.P_521, ec.generate_private_key(ec.SECP521R1())),
        (KeySpec.RSA_2048, rsa.generate_private_key(65537, 2048)),
    ],
    ids=["P-256", "P-521", "RSA-2048"],
)
def test_a_signature_made_in_the_vault_verifies_with_the_public_half(spec, private, subject):
    gateway = subject.gateway()
    made = push(gateway, private, spec=spec)
    signature = gateway.sign("k", made.version, spec=spec, message=b"challenge")
    spki = private.public_key().public_bytes(*SPKI)
    assert is_signature_of_key(signature, spec=spec, public_spki=spki, message=b"challenge")
    assert not is_signature_of_key(signature, spec=spec, public_spki=spki, message=b"another")


def test_a_rotation_policy_is_read_and_replaced(subject):
    gateway = subject.gateway()
    assert gateway.get_rotation_policy("k") is None
    push(gateway)
    usual = gateway.get_rotation_policy("k")
    assert (usual.rotates, usual.notify_before_expiry) == (False, "P30D")
    rotating = RotationPolicy(rotate_after_create="P90D", notify_before_expiry="P20D", expires_after="P120D")
    assert gateway.replace_rotation_policy("k", rotating) == rotating
    assert gateway.get_rotation_policy("k").rotates
    quiet = RotationPolicy(notify_before_expiry="P20D", expires_after="P120D")
    assert gateway.replace_rotation_policy("k", quiet) == quiet
    assert gateway.get_rotation_policy("k") == quiet


@pytest.mark.parametrize("permission", ["getrotationpolicy", "setrotationpolicy"])
def test_a_rotation_policy_has_permissions_of_its_own(permission, subject):
    gateway = subject.gateway()
    push(gateway)
    subject.permit(*ALL)
    call = {
        "getrotationpolicy": lambda: gateway.get_rotation_policy("k"),
        "setrotationpolicy": lambda: gateway.replace_rotation_policy("k", RotationPolicy(notify_before_expiry="P9D")),
    }[permission]
    error = refused(call)
    assert (error.kind, error.permission) == (CloudErrorKind.PERMISSION, permission)


# --- vaults ------------------------------------------------------------------------------------
def test_vaults_are_listed_with_what_a_kek_shows_of_them(subject):
    found = {vault.name.removeprefix("kv-"): vault for vault in subject.gateway(vault="").list_vaults().vaults}
    assert {name: vault.tier for name, vault in found.items()} == {
        "premium": "premium",
        "protected": "premium",
        "standard": "standard",
    }
    assert found["premium"].url == subject.vault_url
    for name in ("premium", "protected"):
        kek = make_kek(subject.gateway(vault=name))
        assert (kek.recovery_level, kek.recoverable_days) == (found[name].recovery_level, found[name].recoverable_days)
        assert has_soft_delete(kek.recovery_level)
        assert is_purge_protected(kek.recovery_level) == (name == "protected")


def test_a_vault_without_hsm_keys_says_so(subject):
    assert refused(lambda: make_kek(subject.gateway(vault="standard"))).kind == CloudErrorKind.NO_HSM_KEYS


def test_a_protected_vault_purges_nothing(subject):
    gateway = subject.gateway(vault="protected")
    make_kek(gateway)
    gateway.delete_key(KEK)
    assert refused(lambda: gateway.purge_key(KEK)).kind == CloudErrorKind.PURGE_PROTECTED


def test_an_address_outside_the_cloud_is_refused(subject):
    assert subject.provider.clean_vault_url(subject.vault_url, cloud=subject.cloud) == subject.vault_url
    assert subject.provider.vault_name(subject.vault_url).startswith(subject.vault_name)
    with pytest.raises(InputError) as caught:
        subject.provider.clean_vault_url("https://evil.example", cloud=subject.cloud)
    assert caught.value.field == "vault"


def test_the_connection_test_begins_with_the_sign_in_and_tells_what_it_learned(subject):
    results = list(subject.gateway().probe_permissions("kmes-probe"))
    assert results[0].name == "Token"
    assert not [result for result in results if result.ok is False]
    facts = {name: value for result in results for name, value in result.facts.items()}
    assert (facts["tier"], facts["recovery_level"]) == ("premium", "Recoverable+Purgeable")
    (only,) = subject.gateway(secret="wrong").probe_permissions("kmes-probe")
    assert (only.ok, only.kind) == (False, "wrong_secret")


# --- refusals and rows -------------------------------------------------------------------------
def test_a_wrong_secret_is_named_and_shown_to_nobody(subject):
    error = refused(subject.gateway(secret="wrong-secret-value").get_token)
    assert (error.kind, error.code, error.retryable) == (CloudErrorKind.WRONG_SECRET, "azure.wrong_secret", False)
    assert "wrong-secret-value" not in f"{error}{error!r}{subject.notes.calls}"


@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "update", "delete", "sign"])
def test_a_missing_permission_is_named(missing, subject):
    gateway = subject.gateway()
    made = push(gateway)
    kek = gateway.read_kek(KEK, 2048)
    blob = gateway.build_transfer_blob(kek, wrap(kek, ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8)))
    values = {"spec": KeySpec.P_256, "key_ops": ["sign"], "enabled": True, "expires_on": None, "tags": {}}
    subject.permit(*[word for word in ALL if word != missing])
    call = {
        "get": lambda: gateway.get_key("k"),
        "list": lambda: gateway.list_versions("k"),
        "create": lambda: make_kek(gateway, "kmes-kek-2"),
        "import": lambda: gateway.import_key("k", blob=blob, **values),
        "update": lambda: gateway.update_version("k", made.version, enabled=False),
        "delete": lambda: gateway.delete_key("k"),
        "sign": lambda: gateway.sign("k", made.version, spec=KeySpec.P_256, message=b"m"),
    }[missing]
    error = refused(call)
    assert (error.kind, error.permission, error.is_about_one_key) == (CloudErrorKind.PERMISSION, missing, False)
    assert missing.capitalize() in str(error)
    assert subject.notes.calls[-1].event == "azure.permission_missing"


def test_each_call_leaves_one_row(subject):
    gateway = subject.gateway()
    gateway.get_token()
    kek = make_kek(gateway)
    made = push(gateway)
    gateway.delete_key("k")
    rows = [row for row in subject.notes.calls if row.event != "azure.kek_public_read"]
    assert [row.event for row in rows] == [
        "azure.token_obtained",
        "azure.kek_created",
        "azure.key_imported",
        "azure.key_deleted",
    ]
    assert [row.key_name for row in rows] == ["", KEK, "k", "k"]
    assert (rows[1].version, rows[2].version) == (kek.version, made.version)
    assert all(row.http_status == 200 and row.request_id for row in rows[1:])


def test_what_is_expected_to_be_refused_is_no_error_in_the_log(subject):
    gateway = subject.gateway()
    made = push(gateway, enabled=False)
    with gateway.expecting(CloudErrorKind.KEY_DISABLED):
        error = refused(lambda: gateway.sign("k", made.version, spec=KeySpec.P_256, message=b"m"))
    assert error.kind == CloudErrorKind.KEY_DISABLED
    assert subject.notes.calls[-1].severity == Severity.INFO
    refused(lambda: gateway.sign("k", made.version, spec=KeySpec.P_256, message=b"m"))
    assert subject.notes.calls[-1].severity is None


# --- effects -----------------------------------------------------------------------------------
def test_throttling_is_waited_out_within_the_budget(subject):
    slept = []
    gateway = subject.gateway(budget=30, slept=slept)
    make_kek(gateway)
    subject.throttle_imports(2)
    assert push(gateway).version
    assert sum(slept) >= 3
    assert subject.imports_asked() == 3
    assert [row.event for row in subject.notes.calls].count("azure.throttled") == 2


def test_a_lost_answer_is_an_unknown_outcome_and_nothing_is_repeated(subject):
    gateway = subject.gateway(budget=30)
    make_kek(gateway)
    subject.lose_next_answer()
    error = refused(lambda: push(gateway))
    assert (error.kind, error.effect_unknown, error.retryable) == (CloudErrorKind.UNKNOWN_OUTCOME, True, False)
    assert subject.imports_asked() == 1
    assert len(gateway.list_versions("k")) == 1, "it took effect all the same"


def test_a_call_past_its_send_deadline_is_not_sent(subject):
    gateway = subject.gateway()
    kek = make_kek(gateway)
    blob = gateway.build_transfer_blob(kek, wrap(kek, ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8)))
    gateway._backoff.before_send = lambda: SendBy.within(-1)
    values = {"spec": KeySpec.P_256, "key_ops": ["sign"], "enabled": True, "expires_on": None, "tags": {}}
    error = refused(lambda: gateway.import_key("k", blob=blob, **values))
    assert (error.kind, error.effect_unknown, error.retryable) == (CloudErrorKind.TOO_LATE, False, True)
    assert subject.imports_asked() == 0
    assert gateway.list_versions("k") == []


def test_it_is_never_called_inside_a_transaction(subject, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = False
    with pytest.raises(AssertionError):
        subject.gateway().get_token()
