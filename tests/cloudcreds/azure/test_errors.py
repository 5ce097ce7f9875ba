"""Each error over the wire: its kind, its text, whether it may be repeated, and how often it was."""

from __future__ import annotations

import ssl
import time

import pytest

from cloudcreds.azure import clients, transport
from cloudcreds.azure.probe import import_invalid_blob
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import ALL
from tests.cloudcreds.azure.test_gateway import make_kek, push


def refused(call):
    with pytest.raises(CloudError) as caught:
        call()
    error = caught.value
    assert error.what.endswith((".", ")"))
    assert "emulator-secret" not in f"{error}{error!r}"
    assert "Traceback" not in str(error)
    return error


@pytest.mark.parametrize(
    ("changes", "kind", "word"),
    [
        ({"secret": SecretText("wrong")}, CloudErrorKind.WRONG_SECRET, "AADSTS7000215"),
        ({"client_id": "99999999-9999-9999-9999-999999999999"}, CloudErrorKind.WRONG_CLIENT, "Client ID"),
        ({"tenant_id": "99999999-9999-9999-9999-999999999999"}, CloudErrorKind.WRONG_TENANT, "Tenant ID"),
    ],
)
def test_a_wrong_sign_in_names_the_field(changes, kind, word, azure):
    error = refused(azure.gateway(**changes).get_token)
    assert error.kind == kind
    assert word in str(error)
    assert not error.retryable


@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "delete", "purge"])
def test_a_missing_permission_is_named(missing, azure):
    gateway = azure.gateway()
    push(gateway)
    if missing == "purge":
        gateway.delete_key("k")
    azure.permit(*[word for word in ALL if word != missing])
    call = {
        "get": lambda: gateway.get_key("k"),
        "list": lambda: gateway.list_versions("k"),
        "create": lambda: make_kek(gateway, "kmes-kek-2"),
        "import": lambda: import_invalid_blob(gateway, "k"),
        "delete": lambda: gateway.delete_key("k"),
        "purge": lambda: gateway.purge_key("k"),
    }[missing]
    error = refused(call)
    assert (error.kind, error.http_status) == (CloudErrorKind.PERMISSION, 403)
    assert f"permission {missing.capitalize()}" in error.what
    assert "Grant it" in error.remedy
    assert azure.notes.calls[-1].event == "azure.permission_missing"


def test_a_standard_vault_is_refused_by_name(azure):
    error = refused(lambda: make_kek(azure.gateway("kv-standard")))
    assert error.kind == CloudErrorKind.NO_HSM_KEYS
    assert "Premium" in error.remedy


def test_a_deleted_name_is_told_from_other_conflicts(azure):
    gateway = azure.gateway()
    push(gateway)
    gateway.delete_key("k")
    error = refused(lambda: push(gateway))
    assert error.kind == CloudErrorKind.SOFT_DELETED
    assert "Recover" in error.remedy


def test_purging_in_a_protected_vault_is_explained(azure):
    gateway = azure.gateway("kv-protected")
    make_kek(gateway)
    gateway.delete_key("kmes-kek-t")
    assert refused(lambda: gateway.purge_key("kmes-kek-t")).kind == CloudErrorKind.PURGE_PROTECTED


@pytest.mark.parametrize("retry_after", [7, None])
def test_throttling_says_how_long_to_wait_if_azure_did(retry_after, azure):
    azure.fault(method="PUT", path="/keys/k", status=429, retry_after=retry_after)
    error = refused(lambda: push(azure.gateway()))
    assert (error.kind, error.retry_after, error.retryable) == (CloudErrorKind.THROTTLED, retry_after, True)
    assert len(azure.asked("PUT", "/keys/k")) == 1
    assert azure.notes.calls[-1].event == "azure.throttled"


def test_throttling_is_waited_out_within_the_budget(azure):
    slept = []
    gateway = azure.gateway(budget=30, sleep=slept.append)
    azure.fault(method="PUT", path="/keys/k", status=429, retry_after=3, count=2)
    assert push(gateway).version
    assert sum(slept) == pytest.approx(6)
    assert len(azure.asked("PUT", "/keys/k")) == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"reset": "before"},
        {"reset": "after"},
        {"status": 500},
        {"status": 503},
        {"status": 500, "when": "after"},
    ],
    ids=str,
)
def test_a_changing_call_without_a_clear_answer_is_sent_once_and_unknown(fault, azure):
    gateway = azure.gateway(budget=30)
    make_kek(gateway)
    azure.fault(method="PUT", path="/keys/k", **fault)
    error = refused(lambda: push(gateway))
    assert (error.kind, error.effect_unknown, error.retryable) == (CloudErrorKind.UNKNOWN_OUTCOME, True, False)
    assert [entry["fault"] is not None for entry in azure.asked("PUT", "/keys/k")] == [True]


@pytest.mark.parametrize("delay", ["delay_ms", "delay_after_ms"])
def test_a_changing_call_that_times_out_is_sent_once_and_unknown(delay, azure, monkeypatch):
    make_kek(azure.gateway())
    clients.forget_clients()
    monkeypatch.setattr(transport, "READ_SECONDS", 0.5)
    gateway = azure.gateway(budget=30)
    gateway.get_token()
    azure.fault(method="PUT", path="/keys/k", **{delay: 1200})
    assert refused(lambda: push(gateway)).effect_unknown
    # It lands when nobody waits for it any more; the next test must not see that.
    time.sleep(1.5)
    assert len(azure.asked("PUT", "/keys/k")) == 1


@pytest.mark.parametrize("fault", [{"reset": "before"}, {"status": 503}, {"status": 500}], ids=str)
def test_a_look_is_repeated(fault, azure):
    gateway = azure.gateway(budget=30)
    made = push(gateway)
    azure.fault(method="GET", path="/keys/k", **fault)
    assert gateway.get_key("k").version == made.version


def test_a_vault_that_is_down_is_unreachable_and_nothing_was_done(azure):
    gateway = azure.gateway()
    gateway.get_token()
    gateway._url = "https://127.0.0.1:9"
    error = refused(lambda: make_kek(gateway))
    assert (error.kind, error.effect_unknown, error.retryable) == (CloudErrorKind.UNREACHABLE, False, True)
    assert "refused" in error.what


def test_an_untrusted_certificate_is_no_unknown_outcome(azure, settings, tmp_path):
    settings.KMES_CUSTOM_CA_FILE = ssl.get_default_verify_paths().cafile or ""
    clients.forget_clients()
    error = refused(azure.gateway().get_token)
    assert not error.effect_unknown


def test_an_expired_token_is_renewed(azure):
    gateway = azure.gateway()
    push(gateway)
    azure.fault(method="GET", path="/keys/k", status=401)
    assert gateway.get_key("k") is not None


def test_bad_input_is_refused_for_good(azure):
    error = refused(lambda: push(azure.gateway(), key_ops=["encrypt"]))
    assert (error.kind, error.retryable) == (CloudErrorKind.REFUSED_INPUT, False)


def test_the_changing_client_neither_repeats_nor_follows(azure):
    """By what it does: an answer that invites to both is taken as it is."""
    gateway = azure.gateway()
    make_kek(gateway)
    for status in (307, 503):
        azure.fault(method="PUT", path="/keys/k", status=status, retry_after=0)
        refused(lambda: push(gateway))
    assert [entry["status"] for entry in azure.asked("PUT", "/keys/k")] == [307, 503]
