"""An administrator demands a second one, who signs in on the same page; the header says so, and what was typed is kept."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from kmes.accounts.second_factor import totp
from tests.browser.conftest import PASSWORD, Console, sign_in
from tests.browser.test_sessions import in_the_console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SEED = b"12345678901234567890"
# Three administrators, whose app was set up with the code before the present one.
MAKE = f"""
from kmes.accounts.models import User
from kmes.accounts.second_factor import services, totp
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
for name in ("dual-one", "dual-two", "dual-three"):
    user = User.objects.create_user(name, password={PASSWORD!r}, role="admin")
    code = totp.code_at({SEED!r}, totp.step_of(now()) - 1)
    services.add_app(user=user, seed={SEED!r}, code=code, session_key="", actor=SYSTEM)
"""


def prove(page: Page) -> None:
    page.get_by_label("Code").fill(totp.code_at(SEED, int(time.time()) // totp.STEP_SECONDS))
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def three_administrators(console: Console):
    in_the_console(console, MAKE)
    yield
    console.manage("dual_login_off")


@pytest.mark.usefixtures("three_administrators")
def test_a_second_administrator_signs_in_for_a_form_that_is_kept(page: Page):
    sign_in(page, "dual-one")
    prove(page)
    page.get_by_role("navigation", name="Console").get_by_role("link", name="Dual login").click()
    page.get_by_label("Exporting the log").check()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Dual login is saved.")).to_be_visible()

    page.goto("/users/add/")
    page.get_by_label("User name").fill("dual-new")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("heading", name="A second administrator signs in")).to_be_visible()
    page.get_by_label("User name of the second administrator").fill("dual-two")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    prove(page)
    header = page.get_by_role("banner")
    expect(header.get_by_text("With dual-two")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("dual-new")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_text("One-time password").first).to_be_visible()
    header.get_by_role("button", name="End").click()
    expect(page.get_by_text("The second administrator is signed out.")).to_be_visible()
    expect(header.get_by_text("With dual-two")).to_be_hidden()

    # The page comes in place of the file, and is not saved under its name.
    page.goto("/logs/?service=audit")
    page.get_by_role("link", name="Export CSV", exact=True).click()
    expect(page.get_by_role("heading", name="A second administrator signs in")).to_be_visible()
