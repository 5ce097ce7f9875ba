"""Two people are needed to purge, where an administrator has set that up; one alone can't take it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def approver(chromium: Browser, console: Console) -> Iterator[Page]:
    """The pages as another administrator sees them."""
    context = chromium.new_context(base_url=console.url, locale="en-US")
    page = context.new_page()
    sign_in(page, "admin2")
    yield page
    context.close()


def set_policy(page: Page, approvals: str) -> None:
    page.get_by_role("navigation", name="Console").get_by_role("link", name="Approvals").click()
    page.get_by_role("link", name="Approval policies", exact=True).click()
    page.get_by_role("link", name="Change policy: Purge an Azure key").click()
    page.get_by_label("Approvals needed").select_option(approvals)


def approve(page: Page, title: str) -> None:
    page.goto("/approvals/?show=mine")
    page.get_by_role("row").filter(has_text=title).get_by_role("link").click()
    page.get_by_role("link", name="Approve or refuse").click()
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("You approved the request.")).to_be_visible()


def test_two_people_are_needed_to_purge(admin: Page, approver: Page, console: Console):
    credential, group, key = flows.fresh("cred"), flows.fresh("ended"), flows.fresh("key")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    set_policy(admin, "1")
    admin.get_by_role("button", name="Change policy").click()
    flows.await_job(admin)

    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Delete")
    flows.dialog(admin).locator("input[name=typed]").fill(group)
    flows.start(admin)
    flows.await_job(admin)
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Purge")
    flows.dialog(admin).get_by_label("Reason").fill("The contract has ended")
    flows.dialog(admin).get_by_label("Type").fill(group)
    flows.start(admin)
    expect(admin.locator("#job-live > p .badge")).to_have_text("Awaiting approval")

    approve(approver, f"Purge {group}")
    flows.await_job(admin)

    # Who set it up can't take it back alone.
    set_policy(admin, "0")
    admin.get_by_label("Reason").fill("Tried out")
    admin.get_by_role("button", name="Request change").click()
    expect(admin.locator("#job-live > p .badge")).to_have_text("Awaiting approval")
    approve(approver, "Purge an Azure key")
    flows.await_job(admin)
