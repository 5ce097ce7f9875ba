"""Workload identity federation: the token of a foreign issuer, from the file that the installation names."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.proofs import FederatedToken
from kmes.core import known_secrets
from tests.cloudcreds.azure.conftest import CLIENT

ISSUER, SUBJECT = "https://issuer.example/cluster", "system:serviceaccount:kmes:worker"


@pytest.fixture
def federation(azure, settings, tmp_path):
    """An application that trusts the issuer, and the function that writes the token file."""
    trusted = [{"issuer": ISSUER, "subject": SUBJECT}]
    azure.stand_in.control("POST", "/_emulator/issuers", {"issuer": ISSUER})
    azure.stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "federated": trusted})
    file = tmp_path / "token"
    settings.KMES_FEDERATED_TOKEN_FILE = str(file)

    def write(**changes):
        wanted = {"issuer": ISSUER, "subject": SUBJECT} | changes
        token = azure.stand_in.control("POST", "/_emulator/federated-tokens", wanted)["token"]
        file.write_text(token + "\n")
        return token

    return write


def refused(azure):
    with pytest.raises(CloudError) as refusal:
        azure.gateway(proof=FederatedToken()).get_token()
    return refusal.value


def test_the_token_of_the_file_signs_in_and_is_masked(azure, federation):
    token = federation()
    gateway = azure.gateway(proof=FederatedToken())
    gateway.get_token()
    assert gateway.list_versions("k") == []
    assert known_secrets.mask(token) == "***"


def test_the_file_is_read_anew_for_each_sign_in(azure, federation):
    federation(subject="somebody else")
    assert refused(azure).kind == CloudErrorKind.FEDERATION_REFUSED
    federation()
    azure.gateway(proof=FederatedToken()).get_token()


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"subject": "system:serviceaccount:kmes:other"}, "AADSTS700213", "Subject"),
        ({"audience": "api://elsewhere"}, "AADSTS700212", "Audience"),
    ],
)
def test_a_token_that_the_application_does_not_trust_says_what_to_compare(changes, code, word, azure, federation):
    federation(**changes)
    error = refused(azure)
    assert (error.kind, error.retryable) == (CloudErrorKind.FEDERATION_REFUSED, False)
    assert code in error.what
    assert word in error.remedy


def test_an_expired_token_points_to_the_clocks(azure, federation):
    federation(lifetime=-3600)
    assert "AADSTS700024" in refused(azure).what


def test_without_a_named_file_nothing_is_read(azure, settings):
    settings.KMES_FEDERATED_TOKEN_FILE = ""
    error = refused(azure)
    assert error.kind == CloudErrorKind.TOKEN_FILE
    assert "KMES_FEDERATED_TOKEN_FILE" in error.remedy


@pytest.mark.parametrize(
    "content", [b"", b"root:x:0:0:root:/root:/bin/bash\n", b"a.b.c d", b"a" * 40000, b"\xff.\xfe.x"]
)
def test_a_file_without_a_token_is_not_sent_anywhere(content, azure, settings, tmp_path):
    (tmp_path / "file").write_bytes(content)
    settings.KMES_FEDERATED_TOKEN_FILE = str(tmp_path / "file")
    assert refused(azure).kind == CloudErrorKind.TOKEN_FILE
    assert azure.asked("POST", "token") == []


def test_a_file_that_is_emptied_before_it_is_written_is_read_again(azure, federation, settings):
    federation()
    file = Path(settings.KMES_FEDERATED_TOKEN_FILE)
    whole = file.read_bytes()
    file.write_bytes(b"")
    writer = threading.Timer(0.15, file.write_bytes, [whole])
    writer.start()
    try:
        azure.gateway(proof=FederatedToken()).get_token()
    finally:
        writer.join()


@pytest.mark.parametrize("kept", [0, 40, -3, -40], ids=["empty", "header", "nearly all", "half a signature"])
def test_a_file_that_was_cut_is_not_sent_and_passes_by_itself(kept, azure, federation, settings):
    token = federation()
    Path(settings.KMES_FEDERATED_TOKEN_FILE).write_text(token[:kept])
    error = refused(azure)
    assert (error.kind, error.retryable) == (CloudErrorKind.TOKEN_FILE, True)
    assert azure.asked("POST", "token") == []


@pytest.mark.parametrize("form", ["{}\r\n", "\ufeff{}", "\n {} "], ids=["CRLF", "BOM", "blanks"])
def test_how_an_editor_writes_the_file_does_not_matter(form, azure, federation, settings):
    token = federation()
    Path(settings.KMES_FEDERATED_TOKEN_FILE).write_bytes(form.format(token).encode())
    azure.gateway(proof=FederatedToken()).get_token()


def test_a_missing_file_is_named(azure, settings, tmp_path):
    settings.KMES_FEDERATED_TOKEN_FILE = str(tmp_path / "missing")
    assert str(tmp_path / "missing") in refused(azure).what
