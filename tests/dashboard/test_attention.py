"""What needs attention: each line counts its objects, leads to a list of just these, and can be acknowledged."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from cloudcreds.models import CloudCredential
from cloudcreds.services import create_credential
from jobs.models import Job
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.core.clock import now
from kmes.dashboard.attention.services import end_cured
from kmes.dashboard.models import Acknowledgement
from kmes.dashboard.selectors import count_rotations
from logging_reports.models import LogEntry
from tests.cloudcreds.builders import OTHER, make_group, values
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.dashboard.test_setup import make_pushed, make_vault
from tests.people import pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def world(credential, admin):
    """Something quiet of each sort, which no line may count and no filtered list may show."""
    CloudCredential.objects.update(last_test_ok=True, last_tested_at=now())
    quiet = make_group(credential, "quiet-group")
    version = make_pushed(make_vault(credential, seen_at=now(), name="kv-two", url="https://kv-two.vault.azure.net"))
    KeyGroup.objects.filter(pk=version.group_id).update(cloud_state="live")
    KeyGroup.objects.filter(pk=quiet.pk).update(rotate=False)
    credential.vaults.update(seen_at=now())
    other = create_credential(values=values(secret="another~secret", name="Loud", client_id=OTHER), actor=admin)
    CloudCredential.objects.filter(pk=other.pk).update(last_test_ok=True, last_tested_at=now())
    return {"credential": other, "group": version.group, "version": version}


def lines(pages) -> list[tuple[str, str]]:
    """The lines of the list: what each says, and where it leads."""
    page = pages.get("/").content.decode()
    return [
        (
            " ".join(re.sub(r"<[^>]+>", " ", text).split()),
            html.unescape(re.findall(r'<a class="btn[^>]*href="([^"]+)"', text)[0]),
        )
        for text in re.findall(r'<li class="attention-line" data-matter[^>]*>(.*?)</li>', page, re.DOTALL)
    ]


def line(pages, words: str) -> tuple[str, str]:
    """The line that says so."""
    found = [each for each in lines(pages) if words in each[0]]
    assert found, f"no line says {words!r}"
    return found[0]


def is_said(pages, words: str) -> bool:
    return any(words in said for said, _link in lines(pages))


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
        ("failing", "1 connection test failed", "Loud", "Contoso"),
        ("untested", "credential was never tested", "Loud", "Contoso"),
        ("drift", "key group differs", "payments", "quiet-group"),
        ("late", "rotation is late", "payments", "quiet-group"),
        ("version", "active version expires", "pay-1", "quiet-group"),
        ("missing", "version is missing", "pay-1", "quiet-group"),
    ],
)
def test_each_line_leads_to_the_list_of_what_it_counts(sort, words, shown, hidden, pages, world):
    loud(world, sort)
    said, link = line(pages, words)
    assert f"1 {words.removeprefix('1 ')}" in said
    answer = pages.get(link)
    assert answer.status_code == 200
    assert shown in main_of(answer)
    if hidden:
        assert hidden not in re.sub(r"<select.*?</select>", "", main_of(answer), flags=re.DOTALL)


def test_with_nothing_wrong_it_says_so_of_what_it_can_see(pages, world):
    for words in ("failed in the last 7 days", "is late", "differs from its vault", "is missing", "expires within"):
        assert not is_said(pages, words)


# --- Acknowledging ---------------------------------------------------------------------------
def acknowledge(pages, matter="failed-jobs", reason="known"):
    address = f"/attention/{matter}/acknowledge/"
    seen = re.search(r'name="seen" value="([^"]+)"', pages.get(address).content.decode())
    return pages.post(address, {"reason": reason, "seen": seen[1] if seen else ""})


def test_what_was_acknowledged_leaves_the_list_and_the_next_one_is_shown_alone(pages, world, people):
    loud(world, "job")
    assert acknowledge(pages, reason="Azure was away").status_code == 302
    assert not is_said(pages, "failed in the last 7 days")
    page = pages.get("/").content.decode()
    assert f"{people['admin'].username}: “Azure was away”" in page
    row = LogEntry.objects.get(event="attention.acknowledged")
    assert ("Azure was away" in row.message, row.actor_name) == (True, people["admin"].username)
    loud(world, "job")
    assert is_said(pages, "1 job failed in the last 7 days")


def test_what_is_over_is_shown_when_it_happens_anew(pages, world):
    loud(world, "drift")
    acknowledge(pages, "drift")
    end_cured()
    assert not is_said(pages, "differs"), "it is not over"
    KeyGroup.objects.update(differences=0)
    end_cured()
    loud(world, "drift")
    assert is_said(pages, "1 key group differs")


def test_an_acknowledgement_covers_only_what_its_user_saw(pages, world):
    loud(world, "job")
    address = "/attention/failed-jobs/acknowledge/"
    seen = re.search(r'name="seen" value="([^"]+)"', pages.get(address).content.decode())[1]
    loud(world, "job")
    answer = pages.post(address, {"reason": "known", "seen": seen})
    assert answer.status_code == 422
    assert "has changed since this was opened" in answer.content.decode()
    assert Acknowledgement.objects.count() == 0


def test_what_gets_worse_after_its_acknowledgement_is_shown_again(pages, world):
    loud(world, "drift")
    version = {"group": world["group"], "seen_at": now()}
    Observation.objects.create(**version, azure_version="1" * 32, flags=["tags"])
    acknowledge(pages, "drift")
    assert not is_said(pages, "key group differs")
    Observation.objects.create(**version, azure_version="2" * 32, flags=["unmanaged"])
    assert is_said(pages, "key group differs")
    acknowledge(pages, "drift", "seen as well")
    assert not is_said(pages, "key group differs")
    assert list(Acknowledgement.objects.filter(ended_at=None).values_list("reason", flat=True)) == ["seen as well"]
    assert end_cured() == 0


def test_what_expires_after_its_acknowledgement_is_shown_again(pages, world):
    of_credential, of_version = CloudCredential.objects.all(), CloudVersion.objects.filter(pk=world["version"].pk)
    of_credential.update(sign_in_expires_on=now().date() + timedelta(days=2))
    of_version.update(expires_at=now() + timedelta(days=2))
    told = {"expiring-secrets": "secrets or certificates", "expiring-versions": "active version expires"}
    for matter, words in told.items():
        acknowledge(pages, matter)
        assert not is_said(pages, words)
    of_credential.update(sign_in_expires_on=now().date() - timedelta(days=1))
    of_version.update(expires_at=now() - timedelta(days=1))
    assert all(is_said(pages, words) for words in told.values())


def test_a_withdrawn_acknowledgement_puts_it_back(pages, world):
    loud(world, "job")
    acknowledge(pages)
    assert pages.post("/attention/failed-jobs/withdraw/").status_code == 302
    assert is_said(pages, "1 job failed")
    assert LogEntry.objects.filter(event="attention.acknowledgement_withdrawn").count() == 1


def test_who_may_not_act_on_a_matter_may_not_acknowledge_it(client, people, world):
    loud(world, "job")
    loud(world, "failing")
    client.force_login(people["operator"])
    page = client.get("/").content.decode()
    assert "/attention/failed-jobs/acknowledge/" in page
    assert "/attention/failing-credentials/acknowledge/" not in page
    assert acknowledge(client, "failing-credentials").status_code == 403
    client.force_login(people["auditor"])
    assert "/acknowledge/" not in client.get("/").content.decode()
    assert acknowledge(client).status_code == client.post("/attention/failed-jobs/withdraw/").status_code == 403
    assert Acknowledgement.objects.count() == 0


def test_a_failed_job_is_made_good_by_a_later_success_of_its_kind(pages, world):
    loud(world, "job")
    failed = Job.objects.get(subject="loud-job")
    Job.objects.filter(pk=failed.pk).update(group=world["group"])
    for kind, said in (("synchronize", True), ("rotate", False)):
        Job.objects.create(
            kind=kind, state="succeeded", group=world["group"], actor_name="a", trigger="user", run_after=now()
        )
        assert is_said(pages, "1 job failed") is said


def test_a_deleted_key_group_has_no_rotation_that_is_late_or_coming(pages, world):
    loud(world, "late")
    KeyGroup.objects.filter(pk=world["group"].pk).update(cloud_state="soft_deleted")
    assert not is_said(pages, "late")
    KeyGroup.objects.filter(pk=world["group"].pk).update(next_due_at=now() + timedelta(days=2))
    assert "0 rotations due; 0 expiries." in pages.get("/outlook/").content.decode()
    assert count_rotations().soon == 0


def test_the_outlook_tells_what_is_coming_and_what_was_done(pages, world):
    loud(world, "job")
    loud(world, "version")
    KeyGroup.objects.filter(pk=world["group"].pk).update(next_due_at=now() + timedelta(days=2))
    page = pages.get("/outlook/").content.decode()
    assert "1 rotation due; 1 expiry." in page
    assert "1 job requested in the last 24 hours; 1 failed." in page
    assert "kv-two" in page


def test_the_stand_in_is_never_mistaken_for_azure(pages):
    assert "a stand-in simulates Azure" in pages.get("/").content.decode()


def test_a_failed_job_that_was_retried_is_told_by_its_retry_alone(pages, world):
    loud(world, "job")
    failed = Job.objects.get(subject="loud-job")
    loud(world, "job")
    Job.objects.exclude(pk=failed.pk).filter(subject="loud-job").update(retry_of=failed)
    assert is_said(pages, "1 job failed")


def test_a_vault_that_takes_no_keys_is_not_called_ok(pages, credential):
    make_vault(credential, name="kv-standard", tier="standard", seen_at=now())
    page = pages.get("/outlook/").content.decode()
    assert "Holds no HSM keys" in page[page.index("kv-standard") :]
