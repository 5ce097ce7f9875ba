"""The demo, and the plain clients that it and the bench are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kmes.devtools import bare_push, process_memory
from kmes.devtools.console_client import Page, PageError
from kmes.devtools.demo import is_same, verify
from kmes.devtools.temporary_instance import UnexpectedResult
from kmes.devtools.vault_client import decode, encode

ROOT = Path(__file__).resolve().parents[2]
PAGE = """
<main><form action="/search/"><input name="q" value="old"></form>
<form method="post" action="/save/">
  <input type="hidden" name="token" value="t&amp;1"><input name="name"><input type="checkbox" name="on" checked>
  <input type="checkbox" name="off" value="1"><input name="locked" value="x" disabled>
  <input type="radio" name="way" value="a"><input type="radio" name="way" value="b" checked>
  <select name="vault"><option value="">Enter manually</option><optgroup label="C"><option value="7">kv-premium (Premium)
  </option></optgroup></select>
  <select name="unit"><option value="days">days</option><option value="weeks" selected>weeks</option></select>
  <textarea name="notes">
two
lines</textarea><button type="submit" name="go" value="1">Save</button>
</form></main>
"""


def test_a_form_is_read_as_a_browser_would_send_it():
    form = Page("http://here/", 200, PAGE).form_with("name", "vault")
    assert (form.action, form.method) == ("/save/", "post")
    assert form.values == {
        "token": ["t&1"],
        "name": [""],
        "on": ["on"],
        "way": ["b"],
        "vault": [""],
        "unit": ["weeks"],
        "notes": ["two\nlines"],
    }
    assert form.choice("vault", "kv-premium") == "7"


def test_what_is_not_on_a_page_is_said():
    page = Page("http://here/", 200, PAGE)
    with pytest.raises(PageError, match="no form with secret"):
        page.form_with("secret")
    with pytest.raises(PageError, match="no entry kv-none"):
        page.form_with("vault").choice("vault", "kv-none")


def test_the_bare_scripts_blob_opens_to_the_key_it_was_made_from():
    kek = rsa.generate_private_key(65537, 2048)
    [pkcs8] = bare_push.make_keys(1)
    blob = json.loads(decode(bare_push.transfer_blob(pkcs8, kek.public_key(), "https://v/keys/k/1")))
    wrapped = decode(blob["ciphertext"])
    aes = kek.decrypt(wrapped[:256], padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    assert keywrap.aes_key_unwrap_with_padding(aes, wrapped[256:]) == pkcs8
    assert blob["header"]["kid"] == "https://v/keys/k/1"


def test_the_proof_refuses_another_key_and_a_wrong_signature():
    private = load_der_private_key(bare_push.make_keys(1)[0], None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    numbers = private.public_key().public_numbers()
    jwk = {"x": encode(numbers.x.to_bytes(32)), "y": encode(numbers.y.to_bytes(32))}
    assert is_same(private.public_key(), jwk)
    assert not is_same(private.public_key(), {**jwk, "x": jwk["y"]})
    assert not is_same(private.public_key(), {"n": "AQAB", "e": "AQAB"})
    with pytest.raises(UnexpectedResult, match="does not verify"):
        verify(private.public_key(), b"\x01" * 64, b"\x02" * 32)


def test_memory_counts_a_process_and_what_it_started():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert process_memory.family_of(child.pid) == [child.pid]
        assert {os.getpid(), child.pid} <= set(process_memory.family_of(os.getpid()))
        assert 1 < process_memory.proportional_mb(os.getpid()) <= process_memory.resident_mb(os.getpid()) + 1
    finally:
        child.communicate(b"\n")
    assert process_memory.resident_mb(child.pid) == 0


def test_the_demo_proves_every_key_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kmes.devtools.demo"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in ("RS256 signature", "ES256 signature", "4 keys proven", "No ephemeral key is left"):
        assert expected in done.stdout
    assert not list(tmp_path.glob("kmes-demo-*"))
