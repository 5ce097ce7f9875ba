"""Statements signed in the device: verified by OpenSSL, refused when a single byte differs."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hsm.verification import is_valid_signature, public_pem
from kmes.core.errors import DeviceError

REPORT = b'{"type": "kmes-report"}\n'
OPENSSL = shutil.which("openssl")


def test_a_statement_is_verified_with_the_public_half_alone(device):
    made = device.sign_report(b'{"type": "kmes-test"}')
    assert is_valid_signature(b'{"type": "kmes-test"}', signature=made.signature, public_spki=made.public_spki)
    assert not is_valid_signature(b'{"type": "kmes-tesu"}', signature=made.signature, public_spki=made.public_spki)


def test_the_same_key_signs_every_time(device):
    assert device.sign_report(b'{"type": "kmes-1"}').public_spki == device.sign_report(REPORT).public_spki


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
def test_openssl_agrees(device, tmp_path):
    made = device.sign_report(REPORT)
    (tmp_path / "key.pem").write_bytes(public_pem(made.public_spki))
    (tmp_path / "s.sig").write_bytes(made.signature)
    (tmp_path / "s").write_bytes(REPORT)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "s.sig", "s"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout == b"Verified OK\n"
    (tmp_path / "s").write_bytes(REPORT + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("text", [b"", b"kmes-checkpoint/v1\n", b"[]", b'{"type": "invoice"}', b"\xff"])
def test_the_key_signs_nothing_but_reports(device, text):
    with pytest.raises(DeviceError) as caught:
        device.sign_report(text)
    assert caught.value.code == "not_a_report"
