"""Reports about keys: ages and expiries are counted right, and cost little however many keys there are."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from keygroups.choices import KeyState
from keygroups.models import CloudVersion, Key
from kmes.core.clock import now
from tests.keygroups.builders import make_credential, make_group, make_key, make_vault, push


def parse(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"), newline="")))


def aged(group, name, days, **changes):
    key = make_key(group, name, **changes)
    Key.objects.filter(pk=key.pk).update(created_at=now() - timedelta(days=days))
    return key


def expiring_in(group, name, days):
    version = push(make_key(group, name))
    CloudVersion.objects.filter(pk=version.pk).update(expires_at=now() + timedelta(days=days))
    return version


@pytest.mark.parametrize(
    ("days", "bucket"), [(0, "30"), (29, "30"), (30, "90"), (89, "90"), (90, "180"), (364, "365"), (365, "older")]
)
def test_a_key_falls_into_the_bucket_of_its_age(days, bucket, pages, group):
    aged(group, "one", days)
    found = parse(pages.get(f"/reports/key-age/export.csv?age={bucket}"))
    assert [(row["name"], row["age_days"]) for row in found] == [("one", str(days))]
    for other in {"30", "90", "180", "365", "older"} - {bucket}:
        assert parse(pages.get(f"/reports/key-age/export.csv?age={other}")) == []


def test_the_oldest_key_comes_first_and_the_sentence_names_its_age(pages, group):
    for name, days in (("young", 3), ("old", 400), ("middle", 100)):
        aged(group, name, days)
    assert [row["name"] for row in parse(pages.get("/reports/key-age/export.csv"))] == ["old", "middle", "young"]
    up = parse(pages.get("/reports/key-age/export.csv?sort=age_days"))
    assert [row["name"] for row in up] == ["young", "middle", "old"]
    page = pages.get("/reports/key-age/").content.decode()
    assert "3 keys are here; the oldest is 400 days old. A year old or older: 1." in page


def test_a_key_shows_what_it_is_in_the_vault_and_a_destroyed_one_is_left_out(pages, group):
    push(make_key(group, "pushed"))
    gone = make_key(group, "gone")
    Key.objects.filter(pk=gone.pk).update(state=KeyState.DESTROYED)
    make_key(group, "here")
    rows = {row["name"]: row for row in parse(pages.get("/reports/key-age/export.csv"))}
    assert rows["pushed"]["in_vault"] == "active"
    assert rows["here"]["in_vault"] == "not_synchronized"
    assert "gone" not in rows
    assert [row["name"] for row in parse(pages.get("/reports/key-age/export.csv?state=active"))] == ["pushed"]


def test_versions_and_secrets_that_expire_stand_in_one_list_by_date(pages, credential):
    vault = make_vault(credential, "kv-a")
    for number, days in enumerate((5, 45, 80, 200)):
        expiring_in(make_group(vault, f"group-{number}"), f"key-{days}", days)
    make_credential("soon", sign_in_expires_on=(now() + timedelta(days=20)).date())
    make_credential("over", sign_in_expires_on=(now() - timedelta(days=2)).date())
    rows = parse(pages.get("/reports/expiring/export.csv"))
    assert [row["title"] for row in rows] == ["over", "key-5", "soon", "key-45", "key-80"]
    assert rows[0]["days_left"] == "-2"
    assert [row["title"] for row in parse(pages.get("/reports/expiring/export.csv?within=30"))] == [
        "over",
        "key-5",
        "soon",
    ]
    assert [row["title"] for row in parse(pages.get("/reports/expiring/export.csv?kind=secret"))] == ["over", "soon"]
    assert [row["title"] for row in parse(pages.get("/reports/expiring/export.csv?q=group-1"))] == ["key-45"]
    page = pages.get("/reports/expiring/").content.decode()
    assert "4 active versions, secrets and certificates expire within 90 days. Already expired: 1." in page


def test_a_superseded_version_may_run_out(pages, group):
    expiring_in(group, "first", 5)
    push(make_key(group, "second"))
    assert parse(pages.get("/reports/expiring/export.csv")) == []


@pytest.fixture
def many_keys(db):
    """Ten thousand keys in a hundred groups, every fourth pushed."""
    vault, spki = make_vault(make_credential("big"), "kv-big"), b"spki"
    moment = now()
    for number in range(100):
        group = make_group(vault, f"group-{number}")
        keys = [
            Key(
                group=group,
                name=f"key-{n}",
                key_spec="RSA-2048",
                public_spki=spki,
                wrapped_private=b"x" * 1200,
                thumbprint=f"{number}-{n}",
                created_by="a",
            )
            for n in range(100)
        ]
        Key.objects.bulk_create(keys)
        CloudVersion.objects.bulk_create(
            CloudVersion(
                key=key,
                group=group,
                vault=vault,
                azure_name=group.azure_name,
                azure_version=key.thumbprint,
                state="active" if not n else "superseded",
                pushed_at=moment,
                expires_at=moment + timedelta(days=number),
            )
            for n, key in enumerate(keys[::4])
        )


def test_ten_thousand_keys_cost_few_queries(pages, many_keys, django_assert_max_num_queries):
    # All in one test: the keys take longer to make than the pages to show.
    for address in ("key-age/", "key-age/?sort=group_name", "key-age/?q=group-7&page=3", "expiring/", "rotation/"):
        pages.get(f"/reports/{address}")
        with django_assert_max_num_queries(12, info=address):
            assert pages.get(f"/reports/{address}").status_code == 200, address


def test_the_dashboard_shows_the_same_chart_once_there_is_a_key(pages, group):
    assert "Keys by age" not in pages.get("/outlook/").content.decode()
    aged(group, "old", 400)
    page = pages.get("/outlook/").content.decode()
    assert "A year and older: 1" in page
    assert 'href="/reports/key-age/"' in page
