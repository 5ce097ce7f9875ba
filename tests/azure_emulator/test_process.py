"""Starting, stopping and coming back."""

from __future__ import annotations

import ast
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from cryptography import x509

from azure_emulator.options import parse_options
from azure_emulator.profiles import UsageError
from tests.azure_emulator.harness import ROOT, Emulator
from tests.services import free_port

ALLOWED = {"azure_emulator", "starlette", "uvicorn", "cryptography"} | sys.stdlib_module_names


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "azure_emulator", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_a_port_in_use_is_one_sentence_and_exit_code_2(emulator: Emulator, tmp_path: Path):
    ended = run("--port", str(emulator.port + 1), "--state-dir", str(tmp_path))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"Port {emulator.port + 1} on 127.0.0.1 is already in use" in ended.stderr


def test_a_taken_metadata_address_is_one_sentence_too(emulator: Emulator, tmp_path: Path):
    arguments = ("--port", str(free_port(3)), "--state-dir", str(tmp_path))
    ended = run(*arguments, "--metadata-address", f"127.0.0.1:{emulator.port}")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "already in use" in ended.stderr


def test_damaged_state_is_one_sentence_and_exit_code_2(tmp_path: Path):
    (tmp_path / "vaults" / "kv-premium").mkdir(parents=True)
    (tmp_path / "vaults" / "kv-premium" / "k.json").write_text("{")
    ended = run("--port", "31990", "--state-dir", str(tmp_path))
    assert ended.returncode == 2
    assert "k.json is not readable JSON" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_state_survives_a_restart_and_stopping_is_clean(tmp_path: Path):
    first = Emulator(tmp_path / "state")
    ca = Path(first.ca).read_bytes()
    key = first.keys().create_rsa_key("kept", size=2048, hardware_protected=True, tags={"a": "b"})
    signature = first.crypto(key).sign("PS256", bytes(32)).signature
    first.keys().begin_delete_key(first.keys().create_ec_key("gone").name)
    first.control("POST", "clients", {"client_id": "later", "secret": "s", "permissions": ["get"]})
    first.control("POST", "vaults/kv-premium", {"purge_protection": True})
    token = first.token()
    second = first.restarted()
    try:
        again = second.keys().get_key("kept")
        assert (again.id, again.key.n, again.properties.tags) == (key.id, key.key.n, {"a": "b"})
        assert again.properties.recovery_level == "Recoverable"
        assert second.crypto(again).verify("PS256", bytes(32), signature).is_valid
        assert second.keys().get_deleted_key("gone").name == "gone"
        assert second.keys(credential=second.credential("later", "s")).get_key("kept").id == key.id
        assert Path(second.ca).read_bytes() == ca
        answer = second.web.get(f"{second.url()}/keys?api-version=7.4", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert all(path.stat().st_mode & 0o077 == 0 for path in second.state.rglob("*.json"))
    finally:
        assert second.stop() == 0


def test_the_certificate_holds_under_strict_verification(emulator: Emulator):
    context = ssl.create_default_context(cafile=emulator.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in (
        "127.0.0.1",
        "localhost",
        "kv-premium.vault.azure.net",
        "login.microsoftonline.com",
        "management.azure.com",
    ):
        with (
            socket.create_connection(("127.0.0.1", emulator.port)) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            assert secured.getpeercert()


def test_it_imports_nothing_but_its_own_four_neighbours():
    for path in (ROOT / "azure_emulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= ALLOWED, path


def test_another_cloud_has_its_own_names(tmp_path: Path):
    names = ("--vault-suffix", "vault.azure.cn", "--authority-name", "login.chinacloudapi.cn")
    started = Emulator(tmp_path / "state", *names, "--manager-name", "management.chinacloudapi.cn", "--key-pool", "0")
    try:
        served = ssl.get_server_certificate(("127.0.0.1", started.port))
        found = x509.load_pem_x509_certificate(served.encode())
        listed = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {"*.vault.azure.cn", "login.chinacloudapi.cn"} <= set(listed.get_values_for_type(x509.DNSName))
        assert "login.windows.net" not in listed.get_values_for_type(x509.DNSName)
        vault = {"Host": "kv-premium.vault.azure.cn"}
        challenge = started.web.get(f"{started.url()}/keys", headers=vault).headers["WWW-Authenticate"]
        assert '"https://login.chinacloudapi.cn/' in challenge
        assert 'resource="https://vault.azure.cn"' in challenge
        token = started.token("https://vault.azure.cn/.default")
        headers = {**vault, "Authorization": f"Bearer {token}"}
        assert started.web.get(f"{started.url()}/keys?api-version=7.4", headers=headers).status_code == 200
        assert started.ask_token(scope="https://vault.azure.net/.default").json()["error_codes"] == [500011]
        arm = {"Authorization": f"Bearer {started.token('https://management.chinacloudapi.cn/.default')}"}
        arm["Host"] = "management.chinacloudapi.cn"
        subscriptions = started.web.get(f"{started.url()}/subscriptions?api-version=2022-12-01", headers=arm)
        assert len(subscriptions.json()["value"]) == 1
    finally:
        assert started.stop() == 0


def test_clients_and_subscriptions_come_from_the_command_line(tmp_path: Path):
    keys = tmp_path / "jwks.json"
    keys.write_text('{"keys": []}')
    options = parse_options(
        ["--client", "id=second,secret=s", "--client", "id=mine,managed_identity=user",
         "--federated", "client=second,issuer=https://issuer.example,subject=s",
         "--issuer", f"https://issuer.example={keys}", "--tenant-domain", "Contoso.example", "--date-skew", "-30",
         "--subscription", "id=44444444-4444-4444-4444-444444444444,refuses=AuthorizationFailed"], {},
    )  # fmt: skip
    second, mine = options.clients[1:]
    assert (second.secret, mine.managed_identity) == ("s", "user")
    assert second.federated == [
        {"issuer": "https://issuer.example", "subject": "s", "audience": "api://AzureADTokenExchange"}
    ]
    assert options.issuers == {"https://issuer.example": {"keys": []}}
    assert options.domains == ("emulator.onmicrosoft.com", "contoso.example")
    assert options.subscriptions[0].refuses == "AuthorizationFailed"
    assert options.settings.date_skew_seconds == -30


@pytest.mark.parametrize(
    "arguments",
    [
        ["--client", "secret=s"],
        ["--client", "id=a,managed_identity=both"],
        ["--client-certificate", "a=/nowhere/cert.pem"],
        ["--client-certificate", f"a={__file__}"],
        ["--federated", "client=a,issuer=https://issuer.example"],
        ["--issuer", f"https://issuer.example={__file__}"],
        ["--subscription", "id=1"],
        ["--metadata-address", "8080"],
    ],
)
def test_an_impossible_option_is_refused(arguments: list[str]):
    with pytest.raises(UsageError):
        parse_options(arguments, {})


def test_options_come_from_the_environment_too():
    options = parse_options([], {"AZURE_EMULATOR_PORT": "9000", "AZURE_EMULATOR_STATE_DIR": "elsewhere"})
    assert [profile.port for profile in options.vaults] == [9000, 9001, 9002]
    assert str(options.state_dir) == "elsewhere"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name=x", "not a valid vault name"),
        ("name=kv-ok,sku=gold", "premium or standard"),
        ("name=kv-ok,retention=5", "7 to 90"),
        ("name=kv-ok,retention=0,purge_protection=1", "without soft delete"),
        ("name=kv-ok,port=8443", "share a port"),
        ("name=kv-ok,colour=red", "knows no colour"),
        ("name=kv-ok,port=x", "invalid literal"),
    ],
)
def test_an_impossible_vault_option_is_refused_with_a_reason(text: str, said: str):
    with pytest.raises(UsageError, match=said):
        parse_options(["--vault", text], {})


def test_reset_returns_to_the_seed(emulator: Emulator):
    emulator.keys().create_ec_key("k")
    emulator.control("POST", "settings", {"page_size": 1})
    emulator.control("POST", "reset")
    assert emulator.control("GET", "settings")["page_size"] == 25
    with pytest.raises(ResourceNotFoundError):
        emulator.keys().get_key("k")
    assert not list((emulator.state / "vaults").rglob("*.json"))
