"""Sessions in a browser: a warning a minute before the end, what is typed stays, and another browser is signed out."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Console, sign_in
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
# Takes the last use of each session so many seconds back, as if the time had passed.
AGE = """
from tests.sessions import change_sessions
from kmes.accounts.session_store import USED
change_sessions(USED, -{seconds})
"""


def in_the_console(console: Console, code: str) -> None:
    """Run a few lines in the console's own environment, as its operator could."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KMES_", "DATABASE_"))}
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        cwd=ROOT,
        env={**kept, "KMES_STATE_DIR": str(console.state_dir)},
        check=True,
        timeout=60,
    )


def let_pass(console: Console, seconds: int) -> None:
    in_the_console(console, AGE.format(seconds=seconds))


def look_again(page: Page) -> None:
    """Come back to the tab, which then asks how long the session still lasts."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_minute_before_the_end_a_warning_keeps_the_session_and_what_is_typed(admin: Page, console: Console):
    admin.goto("/cloud-credentials/add/")
    admin.get_by_label("Name", exact=True).fill("half-typed")
    warning = admin.locator("#session-warning")
    expect(warning).to_be_hidden()
    let_pass(console, 29 * 60 + 5)
    look_again(admin)
    expect(warning).to_be_visible()
    expect(warning.locator("[data-countdown]")).to_have_text(re.compile(r"0:\d\d"))
    warning.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()
    expect(admin.get_by_label("Name", exact=True)).to_have_value("half-typed")

    let_pass(console, 31 * 60)
    look_again(admin)
    expect(admin.locator("#session-ended")).to_be_visible()
    expect(admin.get_by_label("Name", exact=True)).to_have_value("half-typed")


def test_a_user_ends_another_browser_from_the_list(admin: Page, chromium: Browser, console: Console):
    context = chromium.new_context(base_url=console.url, user_agent="curl/8.5.0", locale="en-US")
    other = context.new_page()
    sign_in(other, "admin1")
    admin.goto("/profile/")
    admin.get_by_role("link", name="Sessions", exact=True).click()
    admin.get_by_role("row", name="curl").get_by_role("link", name="End session").click()
    admin.get_by_role("dialog").get_by_role("button", name="End session").click()
    expect(admin.get_by_text("The session is ended.")).to_be_visible()
    expect(admin.get_by_role("row", name="curl")).to_have_count(0)
    other.goto("/users/")
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()
