"""The tour of docs/tour.md, walked. SCREENSHOTS=1 (``make screenshots``) renews the pictures there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import Console, sign_in
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
IMAGES = ROOT / "docs" / "images"


@pytest.fixture
def page(chromium: Browser, console: Console) -> Iterator[Page]:
    """A page on which the camera may put its own style, which the policy forbids to everybody else."""
    context = chromium.new_context(
        base_url=console.url, viewport={"width": 1280, "height": 800}, locale="en-US", bypass_csp=True
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def picture(page: Page, tmp_path: Path):
    """Take a picture of the page as it is."""
    folder = IMAGES if os.environ.get("SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)

    def take(name: str) -> None:
        # What changes from run to run would make each picture new.
        page.evaluate("document.activeElement?.matches('a, button') || document.activeElement?.blur()")
        path = folder / f"{name}.png"
        page.screenshot(path=path, animations="disabled", caret="hide")
        assert path.stat().st_size > 10_000

    return take


def show_test_on_premium_vault(page: Page, credential: str) -> None:
    """Test the credential on kv-premium, and come back to its page."""
    page.goto("/cloud-credentials/")
    page.get_by_role("link", name=credential).first.click()
    credential_page = page.url
    page.get_by_role("link", name="Test kv-premium").click()
    flows.start(page)
    flows.await_job(page)
    page.goto(credential_page)
    expect(page.get_by_role("heading", name="Last connection test")).to_be_visible()


def push_others(page: Page, credential: str, vault_url: str) -> None:
    """Make two more key groups, each with a key in the vault."""
    for word, spec in (("always-encrypted", "RSA-2048"), ("app-signing", "P-256")):
        group = flows.fresh(word)
        flows.add_group(page, group, credential, vault_url, spec)
        flows.create_key(page, group, f"{group}-key")
        flows.synchronize(page, group, f"{group}-key")


def rotate(page: Page, group: str, former: str) -> None:
    """Force a rotation, and come back to the keys of the group."""
    flows.menu(page, flows.group_link(page, group), "Cloud", "Force Rotation")
    flows.start(page)
    flows.await_job(page)
    flows.open_group(page, group)
    expect(flows.key_row(page, former)).to_contain_text("Superseded")


def certify(page: Page) -> None:
    """Run a self-certification to its end."""
    page.goto("/certifications/new/")
    page.get_by_role("button", name="Begin the run").click()
    expect(page.get_by_role("heading", name="Signed report")).to_be_visible(timeout=120_000)
    expect(page.locator("#certification-live [role=status] .badge").first).to_have_text("Passed")


def test_the_tour(page: Page, console: Console, picture):
    page.goto("/login/")
    picture("sign-in")
    sign_in(page, "admin1")
    credential, group = flows.fresh("contoso"), flows.fresh("tde-prod")
    page.goto("/setup/1/")
    expect(page.get_by_role("heading", name="Step 1 of 5")).to_be_visible()
    picture("setup")
    flows.add_credential(page, credential)
    page.get_by_role("link", name="List Key Vaults").first.click()
    flows.start(page)
    flows.await_job(page)
    show_test_on_premium_vault(page, credential)
    picture("credential")
    page.goto("/cloud-credentials/guide/")
    expect(page.get_by_role("heading", name="Set up Azure for the console")).to_be_visible()
    picture("guide")
    vault_url = console.stand_in.vault_url("kv-premium")
    push_others(page, credential, vault_url)
    flows.add_group(page, group, credential, vault_url, "RSA-2048")
    flows.menu(page, page.locator(".group-head h2"), "Edit")
    expect(flows.dialog(page).get_by_label("Name", exact=True)).to_be_visible()
    picture("group-dialog")
    page.keyboard.press("Escape")
    flows.create_key(page, group, "tde-key")
    flows.open_group(page, group)
    flows.key_row(page, "tde-key").get_by_role("link", name="tde-key").click(button="right")
    page.get_by_role("menuitem", name="Cloud").click()
    expect(page.get_by_role("menuitem", name="Synchronize")).to_be_visible()
    picture("menu")
    page.get_by_role("menuitem", name="Synchronize").click()
    expect(flows.dialog(page).get_by_role("heading", name="What will happen")).to_be_visible()
    picture("synchronize")
    code = flows.start(page)
    flows.await_job(page)
    picture("job")
    flows.open_group(page, group)
    expect(flows.key_row(page, "tde-key")).to_contain_text("Active")
    rotate(page, group, "tde-key")
    picture("keys")
    page.goto(f"/logs/?service=azure&job={code}")
    expect(page.locator("main tbody")).to_contain_text("Import")
    picture("log")
    certify(page)
    picture("certification")
    page.goto("/")
    expect(page.get_by_role("heading", name="Vaults")).to_be_visible()
    picture("dashboard")
