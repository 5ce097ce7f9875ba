"""The lifeline on a key's page: one bar for each version, foreign ones hatched, the same in words and as a table."""

from __future__ import annotations

import hashlib
import html
import io
import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pypdf import PdfReader

from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.selectors import list_versions
from keygroups.services import subject_of
from kmes.accounts.models import CustomRole, User
from kmes.core.actor import Actor, Trigger
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from kmes.ui.pictures import cut_label
from logging_reports.models import LogEntry
from logging_reports.services import Subject, record
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.dashboard.test_setup import make_pushed, make_vault
from tests.people import body, pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
pytestmark = pytest.mark.django_db
SPKI = (
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


@pytest.fixture
def group(credential):
    """A group with a superseded version, its successor, and one that somebody else made."""
    old = make_pushed(make_vault(credential))
    CloudVersion.objects.filter(pk=old.pk).update(state="superseded", pushed_at=now() - timedelta(days=60))
    Key.objects.filter(pk=old.key_id).update(created_at=now() - timedelta(days=61))
    key = Key.objects.create(group=old.group, name="pay-2", key_spec="P-256", public_spki=SPKI, created_by="ada")
    CloudVersion.objects.create(
        key=key,
        group=old.group,
        vault=old.vault,
        azure_name="payments",
        azure_version="b" * 32,
        state="active",
        pushed_at=now(),
        expires_at=now() + timedelta(days=3),
    )
    Observation.objects.create(
        group=old.group, azure_version="f" * 32, seen_at=now(), created_on=now() - timedelta(days=5), enabled=True
    )
    return old.group


def picture(pages, group, query="") -> str:
    key = Key.objects.get(group=group, name="pay-2")
    page = body(pages.get(f"{key.get_absolute_url()}{query}"))
    return page.partition('id="key-lifeline"')[2].partition('id="key-events"')[0]


def test_the_lifeline_tells_every_version_and_who_made_it(pages, group):
    shown = picture(pages, group)
    told = html.unescape(re.findall(r"<desc [^>]*>(.*?)</desc>", shown, re.DOTALL)[0])
    assert told == "2 versions, newest first: pay-2 Active, pay-1 Superseded; 1 version was not made here."
    assert shown.count('fill="url(#lifeline-hatch)"') == 2, "one bar, and its sample in the legend"
    assert "by ada" in shown
    assert "pay-2 expires" in shown


def test_a_version_is_superseded_from_the_push_of_the_next_one(pages, group):
    tips = re.findall(r"<title>pay-1: ([^<]* – [^<]*)</title>", picture(pages, group))
    pushed = f"{CloudVersion.objects.get(key__name='pay-2').pushed_at:%Y-%m-%d %H:%M:%S}"
    assert [tip.partition(" – ")[2].removesuffix(" UTC") for tip in tips][1] == pushed


def test_of_versions_that_one_job_pushed_only_the_last_is_drawn_as_active(pages, group):
    newest = group.cloud_versions.get(state="active")
    CloudVersion.objects.filter(pk=newest.pk).update(ordinal=2)
    group.cloud_versions.filter(state="superseded").update(pushed_at=newest.pushed_at, ordinal=1)
    Key.objects.filter(group=group).update(created_at=newest.pushed_at - timedelta(days=1))
    names = [version.key.name for version in list_versions(group)]
    assert names == ["pay-2", "pay-1"]
    shown = picture(pages, group)
    assert shown.count('class="fill-good"') == 2, "one bar, and its sample in the legend"
    assert shown.count('class="fill-neutral"') == 2


@pytest.mark.parametrize("span", ["30d", "1y", "", "nonsense"])
def test_any_span_is_answered(span, pages, group):
    assert "<svg" in picture(pages, group, f"?span={span}")


def test_a_deleted_key_shows_when_it_is_purged(pages, group):
    KeyGroup.objects.update(cloud_state="soft_deleted", scheduled_purge_at=now() + timedelta(days=9))
    assert "the vault purges them on" in picture(pages, group)


def test_without_a_version_there_is_no_lifeline(pages, group):
    Observation.objects.all().delete()
    CloudVersion.objects.all().delete()
    assert "key-lifeline" not in body(pages.get(Key.objects.get(name="pay-2").get_absolute_url()))


def test_each_mark_of_a_bar_names_who_and_by_which_job(pages, group, people):
    key = Key.objects.get(group=group, name="pay-2")
    assert "Created: " in picture(pages, group), "what the key's row tells, where the logs hold nothing"
    row = record(
        "azure.key_imported",
        actor=Actor.from_user(people["admin"]),
        message="imported",
        subject=Subject(group_id=str(group.pk), group=group.name, key_id=str(key.pk), key=key.name),
        job_id=new_uuid(),
        job_code="7F3KQ2",
    )
    shown = html.unescape(picture(pages, group))
    assert re.search(rf"pay-2: Key imported: \S+ \S+ UTC by {people['admin']}, job-7F3KQ2", shown), row
    assert 'href="/jobs/7F3KQ2/"' in shown
    of_all = Subject(group_id=str(group.pk), group=group.name)
    record("azure.key_deleted", actor=Actor.from_user(people["admin"]), message="payments deleted", subject=of_all)
    shown = html.unescape(picture(pages, group))
    assert shown.count("Key deleted: ") == 2, "a mark on the bar of each version"


def test_the_events_of_a_key_are_those_of_all_logs_and_of_nobody_else(pages, group, people):
    key, other = Key.objects.get(group=group, name="pay-2"), Key.objects.get(group=group, name="pay-1")
    actor, job = Actor.from_user(people["admin"]), new_uuid()
    of_group = Subject(group_id=str(group.pk), group=group.name)

    def of(each: Key) -> Subject:
        return Subject(group_id=str(group.pk), group=group.name, key_id=str(each.pk), key=each.name)

    record("key.created", actor=actor, message="own row", subject=of(key), job_id=job, job_code="7F3KQ2")
    record("azure.key_imported", actor=actor, message="own import", subject=of(key), job_id=job, job_code="7F3KQ2")
    record("azure.kek_created", actor=actor, message="row of its job", job_id=job, job_code="7F3KQ2")
    record("device.key_generated", actor=actor, message="row of the device", job_id=job, job_code="7F3KQ2")
    record("group.updated", actor=actor, message="row of its group", subject=of_group)
    record("role.updated", actor=actor, message="change of rights")
    record("azure.key_imported", actor=actor, message="another key", subject=of(other), job_id=job, job_code="7F3KQ2")
    record("user.created", actor=actor, message="another matter")
    page = body(pages.get(f"{key.get_absolute_url()}events/"))
    for text in (
        "own row",
        "own import",
        "row of its job",
        "row of the device",
        "row of its group",
        "change of rights",
    ):
        assert text in page
    assert "another" not in page
    assert body(pages.get(key.get_absolute_url())).count(f'hx-get="{key.get_absolute_url()}events/"') == 1


def test_who_may_not_read_the_logs_gets_no_events(client, group, settings):
    settings.KMES_SECOND_FACTOR_ROLES = ()
    key = Key.objects.get(group=group, name="pay-2")
    CustomRole.objects.create(
        code="role-reader", name="Reader", rights=["console.read"], needs_second_factor=False, changed_at=now()
    )
    client.force_login(User.objects.create_user("reader", role="role-reader"))
    assert "events/" not in body(client.get(key.get_absolute_url()))
    assert client.get(f"{key.get_absolute_url()}events/").status_code == 403


def test_a_bar_leads_to_the_events_of_its_version_and_a_chip_back_to_all_of_them(pages, group, people):
    key, other = Key.objects.get(group=group, name="pay-2"), Key.objects.get(group=group, name="pay-1")
    actor = Actor.from_user(people["admin"])
    for each in (key, other):
        subject = Subject(group_id=str(group.pk), group=group.name, key_id=str(each.pk), key=each.name)
        record("azure.key_imported", actor=actor, message=f"import of {each.name}", subject=subject)
    record("azure.key_deleted", actor=actor, message="the key went", subject=Subject(group_id=str(group.pk)))
    events = f"{key.get_absolute_url()}events/"
    assert f'href="{events}?version={other.pk}" data-version="{other.pk}"' in picture(pages, group)
    shown = body(pages.get(f"{events}?version={other.pk}"))
    assert "import of pay-1" in shown
    assert "import of pay-2" not in shown
    assert "Version: pay-1" in shown
    assert f'href="{events}?version=all"' in shown
    shown = body(pages.get(f"{events}?version=all"))
    assert re.findall(r'<tr data-versions="([^"]+)"', shown) == ["all", str(other.pk), str(key.pk)]
    assert "Version: " not in shown
    page = body(pages.get(f"{key.get_absolute_url()}?version={other.pk}"))
    assert f'hx-get="{events}?version={other.pk}"' in page, "the address of the key's page keeps the filter"


def test_only_versions_of_the_same_group_are_shown(pages, group):
    url = f"{Key.objects.get(group=group, name='pay-2').get_absolute_url()}events/"
    assert [pages.get(f"{url}?version={wanted}").status_code for wanted in ("nonsense", str(new_uuid()))] == [404, 404]


def test_the_history_of_a_key_is_a_pdf_file_with_facts_lifeline_and_events(pages, group):
    key = Key.objects.get(group=group, name="pay-2")
    record(
        "key.created", actor=Actor("ada", Trigger.USER, 1), message="Created key pay-2", subject=subject_of(group, key)
    )
    assert f"{key.get_absolute_url()}history.pdf?paper=letter" in body(pages.get(key.get_absolute_url()))
    response = pages.get(f"{key.get_absolute_url()}history.pdf")
    assert response["Content-Type"] == "application/pdf"
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(response.content)).pages)
    for part in ("History of key pay-2", key.thumbprint[:24], "Superseded", "Not made here", "Created key pay-2"):
        assert part in text, part
    row = LogEntry.objects.get(event="report.exported")
    assert (row.key_id, row.data["complete"]) == (str(key.pk), True)
    assert row.data["sha256"] == hashlib.sha256(response.content).hexdigest()


def test_who_may_not_export_rows_of_the_log_gets_no_file(client, group):
    client.force_login(User.objects.create_user("ott", role="operator"))
    key = Key.objects.get(group=group, name="pay-2")
    assert "history.pdf" not in body(client.get(key.get_absolute_url()))
    assert client.get(f"{key.get_absolute_url()}history.pdf").status_code == 403


def test_the_bold_name_of_the_shown_key_is_cut_before_its_bar_begins():
    def letters(look):
        return len(re.search(r">([^<]*…[^<]*)<", str(cut_label(0, 0, "tde-prod-20261128-202601", 158, look=look)))[1])

    assert letters("strong") * 6.6 * 1.15 <= 158 < letters("") * 6.6 * 1.15
