"""A colleague who reads only the screen: from the one-time password to a second factor and on into the console."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import flows
from tests.browser.conftest import Console, Watch
from tests.browser.test_passkeys import see, virtual_authenticator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PASSWORD = "purple tractor sings twice"


def test_a_colleague_is_led_from_the_one_time_password_to_a_second_factor(
    chromium: Browser, console: Console, admin: Page
):
    name = flows.fresh("colleague")
    admin.goto("/users/add/")
    admin.get_by_label("User name").fill(name)
    admin.get_by_label("Operator").check()
    admin.get_by_role("button", name="Add user").click()
    see(admin.get_by_text(f"{console.url}/login/"))
    one_time = admin.locator(".one-time-password").inner_text()

    # Browsers make no passkeys for an address.
    url = f"http://localhost:{urlsplit(console.url).port}"
    context = chromium.new_context(base_url=url, locale="en-US", viewport={"width": 390, "height": 844})
    context.set_default_timeout(60_000)
    page = context.new_page()
    watch = Watch(page, url)
    virtual_authenticator(page)
    page.goto("/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(one_time)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Current password").fill(one_time)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    see(page.get_by_role("link", name="Continue without"))
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_role("button", name="Add passkey").click()
    page.get_by_role("link", name="I have saved them").click()
    page.get_by_role("link", name="Continue", exact=True).click()
    see(page.get_by_role("heading", name="Dashboard"))

    # Later the way there is under one's name.
    page.locator("[data-account] summary").click()
    page.get_by_role("link", name="Second factor", exact=True).click()
    see(page.get_by_text("10 of 10 left"))
    context.close()
    assert watch.found == []
