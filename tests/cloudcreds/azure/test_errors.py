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


RBAC = (
    "Caller is not authorized to perform action on resource.\r\nCaller: appid=x\r\n"
    "Action: 'Microsoft.KeyVault/vaults/keys/import/action'\r\nResource: '/subscriptions/s/vaults/v/keys/k'\r\n"
    "Assignment: (not found)\r\nDenyAssignmentId: {deny}\r\nDecisionReason: null"
)
POLICY = "Resource 'k' was disallowed by policy. Reasons: '{why}'. Type: Microsoft.KeyVault.Data/vaults/keys/versions."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (RBAC.format(deny="null"), CloudErrorKind.PERMISSION),
        (RBAC.format(deny="(null)"), CloudErrorKind.PERMISSION),
        (RBAC.format(deny=""), CloudErrorKind.PERMISSION),
        (RBAC.format(deny="'6f1a2b3c'"), CloudErrorKind.REFUSED_OTHERWISE),
        (POLICY.format(why="Keys should have an expiration date"), CloudErrorKind.REFUSED_OTHERWISE),
        (POLICY.format(why="Vaults should have purge protection"), CloudErrorKind.REFUSED_OTHERWISE),
        (POLICY.format(why="Disabled keys and disabled key versions"), CloudErrorKind.REFUSED_OTHERWISE),
        ("The vault is under legal hold.", CloudErrorKind.REFUSED_OTHERWISE),
        ("", CloudErrorKind.REFUSED_OTHERWISE),
        ("Operation import is not allowed on an expired key.", CloudErrorKind.OPERATION_FORBIDDEN),
        ("Operation import is not allowed on a key that is not yet valid.", CloudErrorKind.OPERATION_FORBIDDEN),
        ("Public network access is disabled and request is not from a trusted service.", CloudErrorKind.FIREWALL),
    ],
)
def test_a_403_is_told_by_what_it_names(text, kind, azure):
    gateway = azure.gateway()
    make_kek(gateway)
    azure.fault(method="PUT", path="/keys/k", status=403, message=text, count=-1)
    error = refused(lambda: push(gateway))
    assert error.kind == kind
    advises = any(word in error.remedy.lower() for word in ("grant", "access policy", "role"))
    assert advises == (kind == CloudErrorKind.PERMISSION)
    if kind == CloudErrorKind.REFUSED_OTHERWISE:
        assert " ".join(text.split())[:100] in error.what
        assert error.request_id
        assert error.request_id in error.remedy


@pytest.mark.parametrize("first", ["right", "reset"])
def test_the_error_that_is_being_handled_is_not_that_of_the_next_call(first, azure):
    gateway = azure.gateway()
    if first == "right":
        azure.permit(*[word for word in ALL if word != "create"])
    else:
        azure.fault(method="POST", path="/keys/*/create", reset="before")
    try:
        make_kek(gateway)
    except CloudError:
        assert refused(lambda: gateway.delete_key("nothing")).kind == CloudErrorKind.NOT_FOUND
    else:
        pytest.fail("it was made")


def test_who_may_not_list_vaults_is_told_of_the_role_reader(azure):
    azure.fault(part="arm", status=403, code="AuthorizationFailed", message="No action over scope.", count=-1)
    error = refused(azure.gateway().list_vaults)
    assert (error.kind, "Reader" in error.remedy) == (CloudErrorKind.PERMISSION, True)


# --- clocks ------------------------------------------------------------------------------------
@pytest.mark.parametrize("aadsts", [700024, 500133])
def test_an_assertion_outside_its_time_names_the_difference_of_the_clocks(aadsts, azure):
    azure.stand_in.control("POST", "/_emulator/settings", {"date_skew_seconds": 3 * 3600})
    azure.fault(part="entra", method="POST", aadsts=aadsts, count=-1)
    error = refused(azure.gateway().get_token)
    assert error.kind == CloudErrorKind.CLOCK_DIFFERS
    assert "This machine's clock is 3 h behind Entra's." in error.what
    assert f"AADSTS{aadsts}" in error.what


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Operation import is not allowed on a key that is not yet valid.", CloudErrorKind.CLOCK_DIFFERS),
        ("Keys should have more than 90 days before expiration.", CloudErrorKind.REFUSED_OTHERWISE),
        ("The vault is under legal hold.", CloudErrorKind.REFUSED_OTHERWISE),
    ],
)
def test_a_refusal_says_that_the_clocks_differ(text, kind, azure):
    azure.stand_in.control("POST", "/_emulator/settings", {"clock_skew_seconds": -3600})
    gateway = azure.gateway()
    make_kek(gateway)
    azure.fault(method="PUT", path="/keys/k", status=403, message=text)
    error = refused(lambda: push(gateway))
    assert error.kind == kind
    assert "This machine's clock is 1 h ahead of the vault's." in error.what
    assert text.rstrip(".") in error.what


def test_a_token_that_the_vault_refuses_is_replaced_once(azure):
    gateway = azure.gateway()
    push(gateway)
    azure.fault(method="GET", path="/keys/k", status=401, code="Unauthorized", message="[TokenExpired]", count=2)
    assert gateway.get_key("k") is not None


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
