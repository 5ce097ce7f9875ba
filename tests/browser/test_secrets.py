"""After the whole flow nothing known to be secret stands in the database, in Redis, or in a log."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
import redis
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Page

from tests.browser import flows
from tests.browser.conftest import PASSWORD, Console
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
# Opens every key in the device, wraps it under an RSA key made here, and prints the private numbers:
# what a thief would look for. It runs as a worker process of this installation.
REVEAL = """
import base64, django
django.setup()
from cryptography.hazmat.primitives import serialization
from hsm.destination_marks import Use
from hsm.device import get_device
from hsm.mark_checks import check_keys
from keygroups.marks import facts_of_key
from keygroups.models import Key
from keygroups.verification import verify_group
from tests.hsm.unwrapping import Kek
kek = Kek()
for key in Key.objects.filter(state="present"):
    (found,) = check_keys(get_device(), [(key.name, facts_of_key(key), bytes(key.mark))])
    _group, destination = verify_group(key.group, Use())
    ciphertext = get_device().wrap_for_kek(found, destination, kek_modulus=kek.numbers.n, kek_exponent=kek.numbers.e)
    print(base64.b64encode(kek.open_with_cryptography(ciphertext)).decode())
"""


def private_keys(console: Console) -> list[bytes]:
    """The clear PKCS#8 of every key the installation keeps."""
    import os

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KMES_", "DJANGO_", "SOFTHSM2_"))}
    environment = {
        **kept,
        "KMES_STATE_DIR": str(console.state_dir),
        "KMES_PROCESS": "worker",
        "KMES_INSECURE_HTTP": "1",
        "DJANGO_SETTINGS_MODULE": "kmes.settings",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", REVEAL], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
    )
    return [base64.b64decode(line) for line in done.stdout.split()]


def needles(der: bytes) -> list[bytes]:
    """A private number as it could be written: raw, hex, base64."""
    key = serialization.load_der_private_key(der, None)
    numbers = key.private_numbers()
    secrets = [numbers.private_value] if hasattr(numbers, "private_value") else [numbers.d, numbers.p, numbers.q]
    found = []
    for number in secrets:
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        found += [raw, raw.hex().encode(), raw.hex().upper().encode(), str(number).encode()]
        found += [base64.b64encode(raw).rstrip(b"=")[:-1], base64.urlsafe_b64encode(raw).rstrip(b"=")[:-1]]
    return found


def redis_content(console: Console) -> bytes:
    """All keys and values of Redis, and its append-only file."""
    password = (console.state_dir / "redis" / "password").read_text()
    with redis.Redis(port=console.redis_port, password=password) as client:
        client.save()
    return b"".join(path.read_bytes() for path in (console.state_dir / "redis").rglob("*") if path.is_file())


def test_no_secret_in_database_broker_or_logs(admin: Page, console: Console):
    credential, group = flows.fresh("cred"), flows.fresh("secrets")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"), "RSA-2048")
    key = flows.fresh("key")
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    keys = private_keys(console)
    assert keys, "there must be something to look for"
    known = [flows.SECRET.encode(), PASSWORD.encode(), (console.state_dir / "hsm" / "pin").read_bytes().strip()]
    known += [needle for der in keys for needle in needles(der)]
    database = b"".join(path.read_bytes() for path in (console.state_dir / "database").iterdir())
    places = {"database": database, "Redis": redis_content(console), "logs": console.log_text()}
    assert key.encode() in database, "the search itself must be able to find"
    for place, content in places.items():
        for needle in known:
            assert needle not in content, f"a secret stands in {place}"
