"""Administration in a real browser: a user from the first password to the last sign-in, and an option."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
OWN_PASSWORD = "a staple for nobody but me"


@pytest.fixture
def other(chromium: Browser, console: Console):
    """A second person's browser."""
    context = chromium.new_context(base_url=console.url, viewport={"width": 1280, "height": 860}, locale="en-US")
    yield context.new_page()
    context.close()


def try_to_sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_user_is_added_chooses_a_password_and_is_shut_out_by_right_click(admin: Page, other: Page):
    name = flows.fresh("operator")
    admin.goto("/users/")
    admin.get_by_role("link", name="Add › User").click()
    box = flows.dialog(admin)
    box.get_by_label("User name").fill(name)
    box.get_by_label("Operator").check()
    box.get_by_role("button", name="Add user").click()
    password = box.locator(".one-time-password").inner_text()

    try_to_sign_in(other, name, password)
    expect(other.get_by_text("You signed in with a one-time password.")).to_be_visible(timeout=30_000)
    other.get_by_label("Current password").fill(password)
    other.get_by_label("New password", exact=True).fill(OWN_PASSWORD)
    other.get_by_label("New password again").fill(OWN_PASSWORD)
    other.get_by_role("button", name="Change password").click()
    expect(other.get_by_text("Your password is changed.")).to_be_visible(timeout=30_000)
    expect(other.get_by_role("link", name="Users")).to_be_visible()

    box.get_by_role("link", name="Done").click()
    admin.wait_for_url("**/users/*/")
    admin.goto(f"/users/?q={name}")
    admin.locator("main tbody tr").filter(has_text=name).click(button="right")
    admin.get_by_role("menuitem", name="Deactivate").click()
    flows.dialog(admin).get_by_role("button", name="Deactivate user").click()
    expect(admin.get_by_text(f"{name} is deactivated.")).to_be_visible()
    other.goto("/jobs/")
    other.wait_for_url("**/login/?next=/jobs/")
    try_to_sign_in(other, name, OWN_PASSWORD)
    expect(other.get_by_role("alert")).to_be_visible()


def test_an_option_that_can_not_be_is_refused_at_its_field_and_a_good_one_holds(admin: Page):
    admin.goto("/administration/configuration/")
    admin.get_by_role("link", name="Retention and limits").click()
    field = admin.get_by_label("Keep export files (days)")
    field.fill("0")
    admin.get_by_role("button", name="Save options").click()
    expect(admin.get_by_text("greater than or equal to 1")).to_be_visible()
    field.fill("14")
    admin.get_by_role("button", name="Save options").click()
    expect(admin.get_by_text("take effect at once")).to_be_visible()
    expect(field).to_have_value("14")
    field.fill("7")
    admin.get_by_role("button", name="Save options").click()
