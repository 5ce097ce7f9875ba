"""System Logs in a real browser: new rows wait to be asked for, filters are kept, exports arrive by themselves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import Console, sign_in

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


def test_the_events_of_a_key_are_complete_and_name_it(admin: Page, console: Console):
    credential, group = flows.fresh("cred"), flows.fresh("logged")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    key = f"{group}-key"
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    flows.open_group(admin, group)
    flows.key_row(admin, key).get_by_role("link", name=key, exact=True).click()
    events = admin.locator("#key-events tbody")
    for event in ("created", "wrapped", "imported", "verified"):
        expect(events).to_contain_text(event)
    admin.get_by_role("link", name="Azure Service log of this key").click()
    rows = admin.locator("#log-results tbody")
    for category in ("Key wrap", "Import", "Verification"):
        expect(rows).to_contain_text(category)
    expect(admin.get_by_role("list", name="Active filters")).to_contain_text(f"Key: {key}")


def test_a_change_of_a_role_and_a_sign_in_are_told_in_words(admin: Page, chromium: Browser, console: Console):
    name = flows.fresh("carla")
    admin.goto("/users/")
    admin.get_by_role("link", name="Add › User").click()
    box = flows.dialog(admin)
    box.get_by_label("User name").fill(name)
    box.get_by_label("Operator").check()
    box.get_by_role("button", name="Add user").click()
    password = box.locator(".one-time-password").inner_text()
    context = chromium.new_context(base_url=console.url, locale="en-US")
    page = context.new_page()
    sign_in(page, name, password)
    context.close()
    box.get_by_role("link", name="Done").click()
    admin.wait_for_url("**/users/*/")
    admin.goto(f"/users/?q={name}")
    admin.locator("main tbody tr").filter(has_text=name).click(button="right")
    admin.get_by_role("menuitem", name="Edit").click()
    flows.dialog(admin).get_by_label("Auditor").check()
    flows.dialog(admin).get_by_role("button", name="Save user").click()
    expect(admin.get_by_text(f"{name} is saved.")).to_be_visible()
    admin.goto(f"/logs/?service=audit&q={name}")
    changed = admin.locator("#log-results tbody tr").filter(has_text="Auditor").first
    expect(changed).to_contain_text("Operator")
    expect(changed).to_contain_text("Warning")
    admin.goto(f"/logs/?service=audit&actor={name}")
    expect(admin.locator("#log-results tbody tr").filter(has_text="127.0.0.1").first).to_be_visible()
