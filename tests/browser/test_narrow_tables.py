"""Tables on a tablet: the columns that tell least give way, and nothing is cut or stacked word by word."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
LISTS = (
    *("/jobs/?show=all", "/cloud-credentials/", "/users/", "/roles/", "/logs/?service=audit", "/logs/checkpoints/"),
    *("/reports/key-age/", "/reports/rotation/", "/reports/activity/", "/approvals/policies/", "/profile/sessions/"),
)
WIDER = """() => [...document.querySelectorAll(".table-frame")]
  .filter(frame => frame.offsetParent && frame.firstElementChild.scrollWidth > frame.clientWidth + 1)
  .map(frame => frame.id)"""
HEADINGS = """() => [...document.querySelectorAll(".table-frame th")]
  .filter(each => each.offsetWidth).map(each => each.textContent.trim()).filter(Boolean)"""


def test_on_a_tablet_every_list_fits_and_keeps_the_columns_that_tell_most(bench: Page):
    found = {}
    for width in (768, 1024):
        bench.set_viewport_size({"width": width, "height": 900})
        for address in LISTS:
            answer = bench.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            if wider := bench.evaluate(WIDER):
                found[address, width] = wider
    assert found == {}
    bench.set_viewport_size({"width": 768, "height": 900})
    for address, most in {
        "/jobs/?show=all": {"ID", "Name", "Subject", "Status"},
        "/cloud-credentials/": {"Name", "Sign-in", "Last test"},
        "/users/": {"User name", "Role", "Status"},
    }.items():
        bench.goto(address)
        assert most <= set(bench.evaluate(HEADINGS)), address


def test_on_a_tablet_pictures_are_whole_and_no_cell_of_a_key_page_is_a_column_of_words(bench: Page):
    bench.set_viewport_size({"width": 768, "height": 900})
    # A key that the log tells of.
    bench.goto("/logs/?service=azure&category=import")
    name = re.search(r"seed-\d{5}-\d{5}", bench.locator("#log-results tbody").inner_text())
    assert name
    bench.goto(f"/keys/?q={name[0]}")
    key = bench.locator("#keys-pane").get_by_role("link", name=name[0], exact=True).get_attribute("href") or ""
    for address in ("/keys/custody/", "/keys/calendar/", key):
        bench.goto(address)
        frame = bench.locator(".picture-frame").first
        assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") <= 1, address
    expect(bench.locator("#key-events tbody tr").first).to_be_visible()
    cells = bench.locator(".console-table td").evaluate_all(
        """cells => cells.filter(cell => cell.offsetWidth).map(cell => {
            const text = document.createRange();
            text.selectNodeContents(cell);
            const lines = new Set([...text.getClientRects()].map(line => Math.round(line.bottom / 8)));
            return [lines.size, cell.innerText.trim()];
        })"""
    )
    assert [text for lines, text in cells if text and lines > 2 and lines >= len(text.split())] == []
    assert bench.evaluate(WIDER) == []
