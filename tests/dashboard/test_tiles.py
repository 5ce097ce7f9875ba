"""The dashboard's tiles: each counts what wants attention, and leads to a list that shows just that."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from cloudcreds.models import CloudCredential
from cloudcreds.services import create_credential
from jobs.models import Job
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.cloudcreds.builders import OTHER, make_group, values
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.dashboard.test_setup import make_pushed, make_vault
from tests.people import pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def world(credential, admin):
    """Something quiet of each sort, which no tile may count and no filtered list may show."""
    CloudCredential.objects.update(last_test_ok=True, last_tested_at=now())
    quiet = make_group(credential, "quiet-group")
    version = make_pushed(make_vault(credential, seen_at=now(), name="kv-two", url="https://kv-two.vault.azure.net"))
    KeyGroup.objects.filter(pk=version.group_id).update(cloud_state="live")
    KeyGroup.objects.filter(pk=quiet.pk).update(rotate=False)
    credential.vaults.update(seen_at=now())
    other = create_credential(values=values(secret="another~secret", name="Loud", client_id=OTHER), actor=admin)
    CloudCredential.objects.filter(pk=other.pk).update(last_test_ok=True, last_tested_at=now())
    return {"credential": other, "group": version.group, "version": version}


def tile(pages, words: str) -> tuple[int, str]:
    """The number on the tile that says so, and where it leads."""
    page = pages.get("/").content.decode()
    for link, text in re.findall(r'<a class="tile" href="([^"]+)">(.*?)</a>', page, re.DOTALL):
        plain = " ".join(re.sub(r"<[^>]+>", " ", text).split())
        if words in plain:
            return int(plain.split()[0]), html.unescape(link)
    pytest.fail(f"no tile says {words!r}")


def main_of(answer) -> str:
    return answer.content.decode().partition("<main")[2]


def loud(world, sort):
    return {
        "job": lambda: Job.objects.create(
            kind="rotate",
            state="failed",
            subject="loud-job",
            actor_name="a",
            trigger="user",
            run_after=now(),
            finished_at=now(),
        ),
        "expiring": lambda: CloudCredential.objects.filter(pk=world["credential"].pk).update(
            sign_in_expires_on=now().date() + timedelta(days=5)
        ),
        "failing": lambda: CloudCredential.objects.filter(pk=world["credential"].pk).update(last_test_ok=False),
        "untested": lambda: CloudCredential.objects.filter(pk=world["credential"].pk).update(
            last_test_ok=None, last_tested_at=None
        ),
        "drift": lambda: KeyGroup.objects.filter(pk=world["group"].pk).update(differences=2),
        "late": lambda: KeyGroup.objects.filter(pk=world["group"].pk).update(next_due_at=now() - timedelta(days=1)),
        "due": lambda: KeyGroup.objects.filter(pk=world["group"].pk).update(next_due_at=now() + timedelta(days=2)),
        "version": lambda: CloudVersion.objects.filter(pk=world["version"].pk).update(
            expires_at=now() + timedelta(days=3)
        ),
        "missing": lambda: CloudVersion.objects.filter(pk=world["version"].pk).update(state="missing"),
    }[sort]()


@pytest.mark.parametrize(
    ("sort", "words", "shown", "hidden"),
    [
        ("job", "job failed in the last 7 days", "loud-job", ""),
        ("expiring", "secret or certificate expires", "Loud", "Contoso"),
        ("failing", "connection test failed", "Loud", "Contoso"),
        ("untested", "credential was never tested", "Loud", "Contoso"),
        ("drift", "key group differs", "payments", "quiet-group"),
        ("late", "rotation is late", "payments", "quiet-group"),
        ("due", "rotation falls due", "payments", "quiet-group"),
        ("version", "active version expires", "pay-1", "quiet-group"),
        ("missing", "version is missing", "pay-1", "quiet-group"),
    ],
)
def test_each_tile_leads_to_the_list_of_what_it_counts(sort, words, shown, hidden, pages, world):
    loud(world, sort)
    count, link = tile(pages, words)
    assert count == 1
    answer = pages.get(link)
    assert answer.status_code == 200
    assert shown in main_of(answer)
    if hidden:
        assert hidden not in re.sub(r"<select.*?</select>", "", main_of(answer), flags=re.DOTALL)


def test_with_nothing_wrong_it_says_so_of_what_it_can_see(pages, world):
    page = pages.get("/").content.decode()
    for words in ("failed in the last 7 days", "is late", "differs from its vault", "is missing", "expires within"):
        assert words not in page


def test_the_stand_in_is_never_mistaken_for_azure(pages):
    assert "a stand-in on this machine plays Azure" in pages.get("/").content.decode()
