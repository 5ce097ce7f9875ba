"""Statements signed in the device: verified by OpenSSL, refused when a single byte differs."""

from __future__ import annotations

import shutil
import subprocess

import pytest

OPENSSL = shutil.which("openssl")


def test_a_statement_is_verified_with_the_public_half_alone(device):
    from hsm.verification import is_genuine

    made = device.sign_statement(b'{"type": "test"}')
    assert is_genuine(b'{"type": "test"}', signature=made.signature, public_spki=made.public_spki)
    assert not is_genuine(b'{"type": "tesu"}', signature=made.signature, public_spki=made.public_spki)


def test_the_same_key_signs_every_time(device):
    assert device.sign_statement(b"one").public_spki == device.sign_statement(b"two").public_spki


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
def test_openssl_agrees(device, tmp_path):
    from hsm.verification import public_pem

    made = device.sign_statement(b"a statement\n")
    (tmp_path / "key.pem").write_bytes(public_pem(made.public_spki))
    (tmp_path / "s.sig").write_bytes(made.signature)
    (tmp_path / "s").write_bytes(b"a statement\n")
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "s.sig", "s"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout == b"Verified OK\n"
    (tmp_path / "s").write_bytes(b"another statement\n")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
