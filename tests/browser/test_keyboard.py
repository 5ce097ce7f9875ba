"""The whole main job with no other device than the keyboard: no click, no focus given by the test."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import flows
from tests.browser.conftest import PASSWORD, Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
MOST_TABS = 150


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the wanted element has the focus."""
    expect(wanted).to_be_visible()
    for _press in range(MOST_TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{wanted} can't be reached by Tab")


def press(page: Page, wanted: Locator) -> None:
    """Go to a link or button and press Enter."""
    tab_to(page, wanted)
    page.keyboard.press("Enter")


@pytest.fixture
def credential(chromium, console: Console) -> str:
    """A credential somebody else recorded."""
    name = flows.fresh("cred")
    with chromium.new_context(base_url=console.url, locale="en-US") as context:
        page = context.new_page()
        sign_in(page, "admin2")
        flows.add_credential(page, name)
    return name


def test_from_sign_in_to_the_exported_log(page: Page, console: Console, credential: str):
    group, key = flows.fresh("typed-group"), flows.fresh("typed-key")
    page.goto("/login/")
    tab_to(page, page.get_by_label("User name"))
    page.keyboard.type("admin1")
    tab_to(page, page.get_by_label("Password"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.url}/")

    page.keyboard.press("g")
    page.keyboard.press("k")
    page.wait_for_url("**/keys/**")
    _make_group(page, group, credential, console.stand_in.vault_url("kv-premium"))
    press(page, page.get_by_role("link", name="Create › Random").first)
    expect(flows.dialog(page).get_by_label("Name")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*/")
    flows.await_job(page)

    _find(page, key)
    page.wait_for_url("**/keys/*-*/")
    press(page, page.get_by_role("link", name="Cloud › Synchronize"))
    press(page, flows.dialog(page).locator("button[type=submit]"))
    page.wait_for_url("**/jobs/*/")
    flows.await_job(page)

    press(page, page.get_by_role("link", name="Azure Service rows of this job"))
    page.wait_for_url("**/logs/?service=azure*")
    tab_to(page, page.get_by_role("link", name="Export CSV"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert key.encode() in download.value.path().read_bytes()


def _make_group(page: Page, name: str, credential: str, vault_url: str) -> None:
    press(page, page.get_by_role("link", name="Add › Key Group").first)
    box = flows.dialog(page)
    press(page, box.get_by_role("button", name="OK"))
    tab_to(page, box.get_by_label("Name", exact=True))
    page.keyboard.type(name)
    for label, choice in (("Credential", credential), ("Key Type", "ECC"), ("Key Length", "P-256")):
        tab_to(page, box.get_by_label(label, exact=True))
        page.keyboard.type(choice)
    tab_to(page, box.get_by_role("tab", selected=True))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(box.get_by_role("tab", name="Azure Properties")).to_be_focused()
    tab_to(page, box.get_by_label("Key Vault name or URL"))
    page.keyboard.type(vault_url)
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys/?group=*")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def _find(page: Page, key: str) -> None:
    """Open a key by the palette."""
    page.keyboard.press("Control+k")
    page.keyboard.type(key)
    expect(page.get_by_role("option").filter(has_text=key).first).to_be_visible()
    page.keyboard.press("Enter")
