"""The lifeline and the events below it, as one picture: pointing, filtering, and taking the filter away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def key(bench: Page) -> Page:
    """The page of a group's newest key."""
    bench.goto("/keys/")
    bench.locator("tr[data-inspect] a").first.click()
    expect(bench.get_by_role("heading", name="Events of this key")).to_be_visible()
    return bench


def test_a_bar_shows_its_events_and_filters_them_until_the_chip_is_taken_away(key: Page):
    bars, rows = key.locator(".picture-lifeline a[data-filters]"), key.locator("#key-events tbody tr")
    expect(bars.first).to_have_attribute("aria-current", "true")
    key.get_by_role("link", name="Remove the filter Version").click()
    expect(key.get_by_role("heading", name="Events of all versions")).to_be_focused()
    told = {row.get_attribute("data-versions") for row in rows.all()}
    wanted = next(bar.get_attribute("data-version") for bar in bars.all() if bar.get_attribute("data-version") in told)
    other = key.locator(f".picture-lifeline a[data-filters][data-version='{wanted}']")
    for point in (other.focus, other.locator("text").first.hover):
        point()
        expect(other).to_have_class("is-pointed")
        pointed = key.locator("#key-events tr.is-pointed")
        versions = {row.get_attribute("data-versions") for row in pointed.all()}
        assert versions == {wanted}
        key.locator("h1").hover()
        key.locator("#key-events-title").focus()
        expect(pointed).to_have_count(0)
    other.focus()
    key.keyboard.press("Enter")
    expect(key.locator("#announcer")).to_have_text(re.compile(r"^\d+ events? of seed-"))
    expect(other).to_be_focused()
    expect(other).to_have_attribute("aria-current", "true")
    assert {row.get_attribute("data-versions") for row in rows.all()} <= {wanted, ""}
    key.reload()
    expect(other).to_have_attribute("aria-current", "true")
