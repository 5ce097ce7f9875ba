"""The bar of the recent tasks tells how one's own job ended, on whatever page one is by then."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_finished_job_of_ones_own_is_told_in_the_bar_on_another_page(admin: Page, console: Console):
    credential, group = flows.fresh("cred"), flows.fresh("told")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    told = admin.locator("[data-drawer-news]")
    # The first look of a tab tells nothing; this one has looked.
    admin.goto("/cloud-credentials/")
    expect(admin.locator("#drawer-jobs[data-running]")).to_be_attached()
    expect(told).to_be_empty()
    # A job's own page says its end itself, so that the job is started in another tab.
    other = admin.context.new_page()
    flows.open_group(other, group)
    flows.menu(other, flows.group_link(other, group), "Create", "Random")
    flows.dialog(other).get_by_label("Name").fill(f"{group}-key")
    code = flows.start(other)
    expect(told).to_have_text(re.compile(rf"{group}-key: Succeeded$"), timeout=20_000)
    expect(told).to_have_attribute("role", "status")
    told.get_by_role("link").click()
    admin.wait_for_url(f"**/jobs/{code}/")
    expect(told).to_be_empty()


def test_a_short_page_does_not_scroll_and_the_last_page_of_the_tree_is_above_the_tasks(bench: Page):
    bench.goto("/forwarding/")
    assert bench.evaluate("document.documentElement.scrollHeight <= innerHeight")
    bench.set_viewport_size({"width": 1280, "height": 600})
    last = bench.locator("#tree").get_by_role("link").last
    for is_open in (False, True):
        if is_open:
            bench.get_by_role("button", name="Recent tasks").click()
        last.scroll_into_view_if_needed()
        tree, drawer = last.bounding_box(), bench.locator(".task-drawer").bounding_box()
        assert tree
        assert drawer
        assert tree["y"] + tree["height"] <= drawer["y"], is_open
    bench.get_by_role("button", name="Recent tasks").click()
