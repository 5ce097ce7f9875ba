"""What users do, by the labels they see. Each function ends where its result shows."""

from __future__ import annotations

import itertools
import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import CLIENT, SECRET, TENANT

_numbers = itertools.count(1)


def fresh(word: str) -> str:
    """A name nobody used yet."""
    return f"{word}-{next(_numbers)}"


def dialog(page: Page) -> Locator:
    """The open dialog."""
    return page.get_by_role("dialog")


def add_credential(page: Page, name: str, **values: str) -> None:
    """Record a cloud credential for the stand-in."""
    page.goto("/cloud-credentials/add/")
    fields = {"Name": name, "Tenant ID": TENANT, "Client ID": CLIENT, "Client Secret": SECRET, **values}
    page.get_by_label("Cloud", exact=True).select_option("custom")
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Save credential").click()
    page.wait_for_url("**/cloud-credentials/*-*/")


def add_group(page: Page, name: str, credential: str, vault_url: str, spec: str = "P-256") -> None:
    """Make a key group by the context menu of the groups' background."""
    page.goto("/keys/")
    page.get_by_role("link", name="Add › Key Group").first.click()
    box = dialog(page)
    box.get_by_role("button", name="OK").click()
    box.get_by_label("Name", exact=True).fill(name)
    box.get_by_label("Credential").select_option(label=credential)
    box.get_by_label("Key Type").select_option("RSA" if spec.startswith("RSA") else "ECC")
    box.get_by_label("Key Length").select_option(spec)
    box.get_by_role("tab", name="Azure Properties").click()
    box.get_by_label("Key Vault name or URL").fill(vault_url)
    box.get_by_role("button", name="Add key group").click()
    page.wait_for_url("**/keys/?group=*")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def group_link(page: Page, group: str) -> Locator:
    """The group's entry on the left."""
    groups = page.get_by_role("region", name="Key groups")
    return groups.get_by_role("link", name=re.compile(rf"^{re.escape(group)}\s"))


def key_row(page: Page, key: str) -> Locator:
    """The key's row on the right."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=re.compile(rf"^{re.escape(key)}$")))


def menu(page: Page, owner: Locator, *labels: str) -> None:
    """Choose from the context menu of a row or group by right-click; ``labels`` is the way through it."""
    owner.click(button="right")
    for label in labels:
        page.get_by_role("menuitem", name=re.compile(rf"^{re.escape(label)}")).first.click()


def start(page: Page, button: str | None = None) -> str:
    """Confirm the open dialog; returns the job's number when its page shows."""
    box = dialog(page)
    (box.get_by_role("button", name=button) if button else box.locator("button[type=submit]")).click()
    page.wait_for_url("**/jobs/*/")
    return page.url.rstrip("/").rsplit("/", 1)[1]


def await_job(page: Page, state: str = "Succeeded") -> None:
    """Wait on the job's page, which updates itself, until it has ended."""
    badge = page.locator("#job-live > p .badge")
    try:
        expect(badge).to_have_text(state, timeout=40_000)
    except AssertionError as error:
        shown = page.locator("#job-live").inner_text()
        page.reload()
        error.add_note(f"The page showed:\n{shown}\nand, asked for again:\n{page.locator('#job-live').inner_text()}")
        raise


def create_key(page: Page, group: str, key: str) -> None:
    """Create > Random on the group."""
    open_group(page, group)
    menu(page, group_link(page, group), "Create", "Random")
    dialog(page).get_by_label("Name").fill(key)
    start(page)
    await_job(page)


def open_group(page: Page, group: str) -> None:
    """Show a group's keys."""
    page.goto("/keys/")
    group_link(page, group).click()
    page.wait_for_url("**group=*")


def synchronize(page: Page, group: str, key: str, state: str = "Succeeded") -> str:
    """Right-click the key > Cloud > Synchronize; returns the job's number."""
    open_group(page, group)
    menu(page, key_row(page, key).get_by_role("link", name=key, exact=True), "Cloud", "Synchronize")
    code = start(page)
    await_job(page, state)
    return code
