"""A person sets an authenticator app up without a manual, signs in with it, and with a recovery code."""

from __future__ import annotations

import base64
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from kmes.accounts.second_factor import totp
from tests.browser.conftest import PASSWORD, Console, sign_in
from tests.browser.test_sessions import in_the_console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
NAME = "second-factor"
MAKE = f"""
from kmes.accounts.models import User
User.objects.create_user({NAME!r}, password={PASSWORD!r}, role="operator")
"""


def code_of(seed: bytes) -> str:
    return totp.code_at(seed, int(time.time()) // totp.STEP_SECONDS)


def confirm(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()


def test_a_person_sets_an_app_up_and_signs_in_with_its_codes(page: Page, chromium: Browser, console: Console):
    in_the_console(console, MAKE)
    sign_in(page, NAME)
    began = time.monotonic()
    page.locator("[data-account] summary").click()
    page.get_by_role("link", name="Profile", exact=True).first.click()
    page.get_by_role("link", name="Second factor", exact=True).click()
    page.get_by_role("link", name="Set up authenticator app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    page.get_by_text("Enter the key manually").click()
    seed = base64.b32decode(page.locator("main [data-copy]").get_attribute("data-copy") or "")
    used = code_of(seed)
    page.get_by_label("Code in the app").fill(used)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("Your second factor is on.")).to_be_visible()
    codes = page.locator(".recovery-codes li").all_inner_texts()
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()
    assert time.monotonic() - began < 300

    context = chromium.new_context(base_url=console.url, locale="en-US")
    other = context.new_page()
    sign_in(other, NAME)
    expect(other.get_by_role("heading", name="Second factor")).to_be_visible()
    # The code that set the app up is refused, as one that was used, and later as one of the past.
    confirm(other, used)
    confirm(other, codes[0])
    other.wait_for_url(lambda url: "login" not in url)
    expect(other.get_by_role("navigation", name="Console")).to_be_visible()
    context.close()
