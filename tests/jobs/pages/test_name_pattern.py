"""Keys by a pattern: the names it gives, the preview, and what is refused."""

from __future__ import annotations

import pytest

from jobs.confirmation.name_pattern import MAX_KEYS, expand_names
from jobs.models import Job
from kmes.core.errors import InputError
from tests.jobs.pages.browsing import body, group, make_key, pages, people, static_root
from tests.jobs.pages.test_start_pages import device

__all__ = ["device", "group", "pages", "people", "static_root"]


@pytest.mark.parametrize(
    ("pattern", "first", "last", "names"),
    [
        ("tde-{n:02}", 9, 11, ["tde-09", "tde-10", "tde-11"]),
        ("{n}-eu", 0, 1, ["0-eu", "1-eu"]),
        ("k{n:03}", 999, 1000, ["k999", "k1000"]),
    ],
)
def test_a_pattern_gives_a_name_for_each_number(pattern, first, last, names):
    assert expand_names(pattern, first, last) == names


@pytest.mark.parametrize(
    ("pattern", "first", "last", "field"),
    [
        ("tde", 1, 2, "pattern"),
        ("tde-{n}-{n}", 1, 2, "pattern"),
        ("tde-{x}{n}", 1, 2, "pattern"),
        ("tde-{n:99}", 1, 2, "pattern"),
        ("tde-{n:02", 1, 2, "pattern"),
        ("x" * 300 + "{n}", 1, 2, "pattern"),
        ("tde-{n}", 3, 2, "last"),
        ("tde-{n}", 1, MAX_KEYS + 1, "last"),
    ],
)
def test_a_pattern_that_gives_no_names_is_refused_at_its_field(pattern, first, last, field):
    with pytest.raises(InputError) as refused:
        expand_names(pattern, first, last)
    assert refused.value.field == field


@pytest.mark.django_db
def test_one_job_makes_all_keys_of_a_pattern(pages, group, device):
    address = f"/jobs/start/create/?group={group.pk}&several=pattern"
    assert 'name="pattern"' in body(pages.get(address))
    assert pages.post(address, {"pattern": "tde-{n:02}", "first": "1", "last": "20"}).status_code == 302
    assert Job.objects.get().params["names"] == [f"tde-{number:02}" for number in range(1, 21)]


@pytest.mark.django_db
def test_the_preview_shows_the_names_and_which_are_taken(pages, group, django_assert_max_num_queries):
    make_key(group, "TDE-02")
    asked = {"group": str(group.pk), "pattern": "tde-{n:02}", "first": "1", "last": "20"}
    with django_assert_max_num_queries(8):
        shown = body(pages.get("/jobs/names/preview/", asked))
    assert "20 keys:" in shown
    assert "tde-01, tde-02" in shown
    assert "…, tde-20" in shown
    assert "The group has these names already: TDE-02" in shown
    assert "one place for the number" in body(pages.get("/jobs/names/preview/", {**asked, "pattern": "tde"}))
