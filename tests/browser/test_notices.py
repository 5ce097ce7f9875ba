"""The bell and the reports in a browser: news arrives by itself, keyboard reads it, a chart prints."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import Console
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


def fail_a_job(page: Page, console: Console) -> None:
    """Test the connection of a credential whose secret is wrong: the job fails."""
    flows.add_credential(page, flows.fresh("wrong"), **{"Client Secret": "another-secret"})
    page.get_by_role("link", name="Test Connection").first.click()
    flows.start(page)
    flows.await_job(page, "Failed")


def test_a_failed_job_rings_the_bell_and_is_read_by_keyboard(admin: Page, console: Console):
    admin.goto("/notices/")
    watcher = admin.context.new_page()
    watcher.goto("/notices/?show=unread")
    before = watcher.locator("main tbody tr").count()
    fail_a_job(admin, console)
    expect(watcher.locator("main tbody tr")).to_have_count(before + 1, timeout=20_000)
    expect(watcher.locator("#bell")).to_contain_text(re.compile(r"\d+ unread"), timeout=20_000)
    row = watcher.locator("main tbody tr").first
    link = row.get_by_role("link", name="Job failed")
    assert "/jobs/" in (link.get_attribute("href") or "")
    row.get_by_role("button", name=re.compile("^Mark as read")).focus()
    watcher.keyboard.press("Enter")
    watcher.wait_for_url("**/notices/?show=unread")
    expect(watcher.locator("main tbody tr")).to_have_count(before)
    watcher.close()


def test_a_webhook_is_added_and_shows_its_secret_once(admin: Page):
    admin.goto("/administration/notices/add/webhook/")
    name = flows.fresh("hook")
    admin.get_by_label("Name").fill(name)
    admin.get_by_label("URL").fill("https://10.0.0.1/")
    admin.get_by_role("button", name="Save channel").click()
    expect(admin.get_by_text("lies inside this network")).to_be_visible()
    admin.get_by_label("URL").fill("https://nowhere.invalid/hook")
    admin.get_by_role("button", name="Save channel").click()
    secret = admin.locator(".shown-once").inner_text()
    assert secret.startswith("kmes_")
    admin.get_by_role("link", name="I have it").click()
    expect(admin.get_by_role("heading", name=name)).to_be_visible()
    assert secret not in admin.content()
    admin.get_by_role("button", name="Send a test").click()
    expect(admin.locator("#deliveries")).to_contain_text("can't be reached", timeout=30_000)
    admin.get_by_role("link", name="Delete").click()
    admin.get_by_role("button", name="Delete channel").click()
    expect(admin.get_by_text(f"The channel {name} was deleted.")).to_be_visible()


def test_a_report_sorts_filters_downloads_and_prints(admin: Page):
    admin.goto("/reports/")
    admin.get_by_role("link", name="Activity by user").click()
    expect(admin.get_by_role("img", name="Actions by user")).to_be_visible()
    admin.get_by_role("link", name="Actions", exact=True).click()
    expect(admin.locator("th[aria-sort]")).to_have_count(1)
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Export CSV").click()
    assert download.value.suggested_filename.startswith("activity-")
    admin.get_by_role("link", name="Show all to print").click()
    expect(admin.get_by_role("button", name="Print")).to_be_visible()
    admin.emulate_media(media="print")
    expect(admin.locator(".app-tree")).to_be_hidden()
    expect(admin.get_by_role("img", name="Actions by user")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1920])
def test_no_report_and_no_notice_page_scrolls_sideways(width, admin: Page):
    admin.set_viewport_size({"width": width, "height": 740})
    for address in ("/reports/", "/reports/activity/", "/notices/", "/notices/mail/", "/administration/notices/"):
        admin.goto(address)
        assert not admin.evaluate("document.documentElement.scrollWidth > innerWidth + 1"), address
