"""Chromium with a virtual authenticator: a passkey is added, signs in alone, follows the password, and confirms."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, CDPSession, Locator, Page, expect

from tests.browser.conftest import PASSWORD, Console, Watch
from tests.browser.test_sessions import in_the_console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
NAME = "passkeys"
MAKE = f"""
from kmes.accounts.models import User
User.objects.create_user({NAME!r}, password={PASSWORD!r}, role="admin")
"""
# Takes the last proof of a factor ten minutes back, as if the time had passed.
AGE = """
from tests.sessions import change_sessions
from kmes.accounts.second_factor.sign_in import PROVEN_AT
change_sessions(PROVEN_AT, -600)
"""


def see(part: Locator) -> None:
    # A busy machine answers late.
    expect(part).to_be_visible(timeout=60_000)


def virtual_authenticator(page: Page) -> tuple[CDPSession, str]:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "automaticPresenceSimulation": True,
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def sign_out(page: Page) -> None:
    page.locator("[data-account] summary").click()
    page.get_by_role("button", name="Sign out").click()
    see(page.get_by_role("heading", name="Sign in"))


def enter_password(page: Page) -> None:
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_passkey_is_added_signs_in_follows_the_password_and_confirms(chromium: Browser, console: Console):
    in_the_console(console, MAKE)
    # Browsers make no passkeys for an address.
    url = f"http://localhost:{urlsplit(console.url).port}"
    context = chromium.new_context(base_url=url, locale="en-US")
    context.set_default_timeout(60_000)
    page = context.new_page()
    watch = Watch(page, url)
    session, authenticator = virtual_authenticator(page)

    page.goto("/login/")
    enter_password(page)
    page.locator("[data-account] summary").click()
    page.get_by_role("link", name="Profile", exact=True).first.click()
    page.get_by_role("link", name="Second factor", exact=True).click()
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_label("Name").fill("This machine")
    page.get_by_role("button", name="Add passkey").click()
    see(page.get_by_text("Your second factor is on."))
    page.get_by_role("link", name="I have saved them").click()
    see(page.get_by_text("This machine").first)
    made = session.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
    assert [(each["rpId"], each["isResidentCredential"]) for each in made] == [("localhost", True)]
    # The same device is not asked to hold a second one.
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_role("button", name="Add passkey").click()
    see(page.get_by_text("This device holds a passkey for the console already."))

    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    see(page.get_by_role("navigation", name="Console"))

    sign_out(page)
    enter_password(page)
    see(page.get_by_role("heading", name="Second factor"))
    # Somebody who is not verified is told so by the browser, and stays outside.
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.get_by_role("button", name="Use a passkey").click()
    see(page.get_by_text("No passkey was used"))
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": True})
    page.get_by_role("button", name="Use a passkey").click()
    see(page.get_by_role("navigation", name="Console"))

    in_the_console(console, AGE)
    page.goto("/users/add/")
    see(page.get_by_role("heading", name="Confirm that it is you"))
    page.get_by_role("button", name="Use a passkey").click()
    see(page.get_by_role("button", name="Add user"))
    context.close()
    assert watch.found == []
