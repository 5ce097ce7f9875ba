"""Chromium with a virtual authenticator: a passkey signs one approval and a list of them, and the worker takes them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import PASSWORD, Console, Watch
from tests.browser.test_passkeys import see, virtual_authenticator
from tests.browser.test_sessions import in_the_console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
NAME = "signer"
# Three policies, and three requests to end them: no policy is left for other tests.
MAKE = f"""
import time
from jobs.kinds.set_approval_policy.spec import request_set_approval_policy as change
from kmes.accounts.models import User
from kmes.core.actor import Actor
User.objects.create_user({NAME!r}, password={PASSWORD!r}, role="admin")
values = {{"role": "admin", "expires_hours": 24, "actor": Actor.from_user(User.objects.get(username="admin1"))}}
actions = ("destroy", "cloud_delete", "cloud_purge")
jobs = [change(action=action, approvals=1, **values) for action in actions]
while any(job.state in ("queued", "running") for job in jobs):
    time.sleep(0.5)
    for job in jobs:
        job.refresh_from_db()
for action in actions:
    change(action=action, approvals=0, reason="Tried out", **values)
"""


def test_a_passkey_signs_one_approval_and_a_list_of_them(chromium: Browser, console: Console):
    in_the_console(console, MAKE)
    # Browsers make no passkeys for an address.
    url = f"http://localhost:{urlsplit(console.url).port}"
    context = chromium.new_context(base_url=url, locale="en-US")
    context.set_default_timeout(60_000)
    page = context.new_page()
    watch = Watch(page, url)
    virtual_authenticator(page)
    page.goto("/login/")
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    see(page.get_by_role("navigation", name="Console"))
    page.goto("/profile/second-factor/passkeys/add/")
    page.get_by_role("button", name="Add passkey").click()
    see(page.get_by_text("Your second factor is on."))

    page.goto("/approvals/?show=mine")
    page.get_by_role("row").filter(has_text="Destroy").get_by_role("link").click()
    page.get_by_role("link", name="Approve or refuse").click()
    page.get_by_label("Comment").fill("First line\nsecond line")
    page.get_by_role("button", name="Approve with passkey").click()
    see(page.get_by_text("You approved the request."))
    see(page.get_by_text("signed by a passkey"))

    page.goto("/approvals/?show=mine")
    page.locator("#pick-all").check()
    page.get_by_role("button", name="Show and approve selected").click()
    see(page.get_by_role("heading", name="Purge an Azure key"))
    see(page.get_by_role("heading", name="Delete an Azure key"))
    page.get_by_role("button", name="Approve 2 requests with passkey").click()
    see(page.get_by_text("You approved 2 requests."))

    # The worker has checked what the browser's passkey signed.
    for action in ("destroy", "cloud_delete", "cloud_purge"):
        page.goto(f"/approvals/policies/{action}/")
        for _time in range(60):
            if page.get_by_label("Approvals needed").input_value() == "0":
                break
            page.wait_for_timeout(1_000)
            page.reload()
        assert page.get_by_label("Approvals needed").input_value() == "0"

    context.close()
    assert watch.found == []
