"""System Logs in a real browser: new rows wait to be asked for, filters are kept, exports arrive by themselves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_new_rows_are_counted_under_the_readers_eyes_and_shown_when_asked_for(admin: Page):
    admin.goto("/logs/?service=audit")
    shown = admin.locator("#log-results tbody tr")
    first = shown.first.get_attribute("id")
    expect(admin.get_by_text("Watching for new rows")).to_be_visible()
    # Something happens elsewhere that writes a row.
    other = admin.context.new_page()
    other.goto("/logs/filters/save/?service=audit&severity=error")
    other.get_by_label("Name").fill(flows.fresh("watched"))
    other.get_by_role("button", name="Save filter").click()
    other.wait_for_url("**/logs/?*")
    other.close()
    link = admin.get_by_role("link", name=re.compile(r"\d+ new rows? – show"))
    expect(link).to_be_visible()
    assert shown.first.get_attribute("id") == first
    admin.get_by_role("button", name="Pause").click()
    expect(admin.get_by_role("button", name="Resume")).to_be_focused()
    link.click()
    expect(shown.first).not_to_have_id(first or "")
    expect(shown.first).to_contain_text("Log filter")
    expect(admin.get_by_text("Watching for new rows")).to_be_visible()


def test_the_log_is_searched_while_one_types(admin: Page):
    admin.goto("/logs/?service=audit")
    before = admin.evaluate("history.length")
    admin.get_by_role("searchbox", name="Text").press_sequentially("no row says this", delay=20)
    expect(admin.locator("#announcer")).to_have_text("0 rows")
    expect(admin.get_by_role("heading", name="No row matches")).to_be_visible()
    expect(admin.get_by_role("searchbox", name="Text")).to_be_focused()
    admin.get_by_role("searchbox", name="Text").fill("")
    expect(admin.locator("#log-results tbody tr").first).to_be_visible()
    # Half a date is no error while it is typed, and one when it is left.
    admin.get_by_text("More filters").click()
    since = admin.get_by_label("From (UTC)")
    since.press_sequentially("2026-1", delay=20)
    admin.wait_for_timeout(600)
    expect(admin.locator("#filter-since-error")).to_be_empty()
    since.press("Tab")
    expect(admin.locator("#filter-since-error")).not_to_be_empty()
    since.fill("2026-01-01")
    since.press("Tab")
    expect(admin.locator("#filter-since-error")).to_be_empty()
    assert admin.evaluate("history.length") == before


def test_a_filter_is_saved_from_its_chips_in_a_dialog_and_found_again(admin: Page):
    name = flows.fresh("errors")
    admin.goto("/logs/?service=audit&severity=info")
    admin.get_by_role("link", name="Save filter").click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    # The address stays the same, so the navigation itself is waited for.
    with admin.expect_event("load"):
        dialog.get_by_role("button", name="Save filter").click()
    admin.goto("/logs/")
    admin.get_by_text("Saved filters").click()
    admin.get_by_role("link", name=re.compile(f"^{name}")).click()
    admin.wait_for_url("**/logs/?service=audit&severity=info")
    admin.get_by_text("Saved filters").click()
    admin.get_by_role("link", name=f"Delete the filter {name}").click()
    admin.get_by_role("dialog").get_by_role("button", name="Delete filter").click()
    expect(admin.get_by_role("link", name=f"Delete the filter {name}")).to_have_count(0)


def test_a_background_export_becomes_ready_before_ones_eyes(admin: Page):
    admin.goto("/logs/exports/")
    # The page offers it from ten thousand rows on; the form is the same.
    admin.evaluate(
        """() => {
          const token = document.querySelector('[name=csrfmiddlewaretoken]').value;
          const form = document.createElement('form');
          form.method = 'post';
          form.action = '/logs/exports/start/';
          for (const [name, value] of [['csrfmiddlewaretoken', token], ['service', 'audit'], ['format', 'jsonl']]) {
            const input = document.createElement('input');
            input.name = name; input.value = value;
            form.append(input);
          }
          document.body.append(form);
          form.submit();
        }"""
    )
    row = admin.locator("#log-exports tbody tr").first
    expect(row).to_contain_text("JSON Lines")
    expect(row).to_contain_text("Ready", timeout=30_000)
    with admin.expect_download() as download:
        row.get_by_role("link", name=re.compile(r"audit-.*\.jsonl")).click()
    assert download.value.suggested_filename.endswith(".jsonl")


def test_the_device_signs_the_log_and_the_anchor_can_be_taken_along(admin: Page):
    admin.goto("/logs/")
    # The scan makes the first checkpoint within seconds.
    for _turn in range(20):
        if admin.get_by_role("link", name="Download as anchor").count():
            break
        admin.wait_for_timeout(500)
        admin.reload()
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Download as anchor").click()
    assert download.value.path().read_text().startswith("kmes-checkpoint/v1\n")
