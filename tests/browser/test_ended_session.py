"""A session that ends while somebody types: nothing is lost, nothing is sent, and the next page says so."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import CLIENT, PASSWORD, SECRET, TENANT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def sign_in(page: Page) -> None:
    page.get_by_label("User name").fill("admin1")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_form_sent_after_the_sessions_end_is_filled_in_again_and_sent_by_its_user(admin: Page):
    name = flows.fresh("after-the-end")
    admin.goto("/cloud-credentials/add/")
    admin.get_by_label("Cloud", exact=True).select_option("custom")
    for label, value in {"Name": name, "Tenant ID": TENANT, "Client ID": CLIENT, "Client Secret": SECRET}.items():
        admin.get_by_label(label, exact=True).fill(value)
    admin.context.clear_cookies(name="kmes_session")
    # A poll finds out first, and leaves what is being typed alone.
    expect(admin.locator("#session-ended")).to_be_visible(timeout=30_000)
    expect(admin.get_by_label("Name", exact=True)).to_have_value(name)

    admin.get_by_role("button", name="Save credential").click()
    expect(admin.get_by_text("Your session has ended. Sign in to continue.")).to_be_visible()
    sign_in(admin)
    admin.wait_for_url("**/cloud-credentials/add/")
    expect(admin.get_by_text("Nothing was carried out")).to_be_visible()
    expect(admin.get_by_label("Name", exact=True)).to_have_value(name)
    expect(admin.get_by_label("Cloud", exact=True)).to_have_value("custom")
    expect(admin.get_by_label("Client Secret", exact=True)).to_have_value("")

    admin.get_by_label("Client Secret", exact=True).fill(SECRET)
    admin.get_by_role("button", name="Save credential").click()
    admin.wait_for_url("**/cloud-credentials/*-*/")
    expect(admin.get_by_role("heading", name=name)).to_be_visible()
