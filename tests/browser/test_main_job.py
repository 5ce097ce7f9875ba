"""The main job as an administrator does it, in a real browser against the whole running console."""

from __future__ import annotations

import csv
import io
import sqlite3

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import PASSWORD, Console, sign_in
from tests.jobs.observer import VaultObserver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def vault(console: Console) -> VaultObserver:
    """The Premium vault, asked by the SDK directly."""
    return VaultObserver(console.stand_in)


@pytest.fixture
def group(admin: Page, console: Console) -> str:
    """A group with a credential of its own."""
    credential, group = flows.fresh("cred"), flows.fresh("payments")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    return group


@pytest.fixture
def pushed(admin: Page, group: str) -> tuple[str, str]:
    """A group and a key of it that stands in the vault."""
    key = flows.fresh("key")
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    return group, key


def test_an_administrator_logs_in_and_out(page: Page):
    page.goto("/keys/")
    expect(page).to_have_url("/login/?next=/keys/")
    page.get_by_label("User name").fill("admin2")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, "admin2", PASSWORD)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.locator("[data-account] summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_cloud_credential_is_recorded_and_its_connection_tested(admin: Page):
    name = flows.fresh("cred")
    flows.add_credential(admin, name)
    assert flows.SECRET not in admin.content()
    credential = admin.url
    admin.get_by_role("link", name="List Key Vaults").click()
    flows.start(admin)
    flows.await_job(admin)
    admin.goto(credential)
    expect(admin.get_by_role("cell", name="kv-premium", exact=True)).to_be_visible()
    admin.get_by_role("link", name="Test Connection").first.click()
    flows.start(admin)
    flows.await_job(admin)
    admin.goto(credential)
    expect(admin.locator("h2:has-text('Last connection test') + p")).to_contain_text("passed")


def test_a_key_group_is_made_from_the_menu_of_the_background(admin: Page, console: Console):
    credential, name = flows.fresh("cred"), flows.fresh("orders")
    flows.add_credential(admin, credential)
    flows.add_group(admin, name, credential, console.stand_in.vault_url("kv-premium"), "RSA-2048")
    expect(admin.get_by_role("heading", name="No key yet")).to_be_visible()


def test_a_key_is_created_in_the_hsm(admin: Page, group: str):
    key = flows.fresh("key")
    flows.create_key(admin, group, key)
    expect(admin.locator("#job-log")).to_contain_text(f"Created HSM protected key {key}")
    flows.open_group(admin, group)
    expect(flows.key_row(admin, key)).to_contain_text("Present")


def test_a_key_is_pushed_and_signs_in_the_vault(admin: Page, group: str, vault: VaultObserver):
    key = flows.fresh("key")
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    log = admin.locator("#job-log")
    for line in (
        "Synchronizing 1 HSM protected key(s)...",
        f"Synchronized HSM protected key {key}",
        "Successfully synchronized 1 HSM protected key(s)",
    ):
        expect(log).to_contain_text(line)
    flows.open_group(admin, group)
    row = flows.key_row(admin, key)
    expect(row).to_contain_text("Active")
    (version,) = vault.versions(group)
    assert len(vault.sign(group, version)) == 64


def test_a_rotation_is_forced(admin: Page, pushed: tuple[str, str], vault: VaultObserver):
    group, _key = pushed
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Force Rotation")
    flows.start(admin)
    flows.await_job(admin)
    assert len(vault.versions(group)) == 2
    flows.open_group(admin, group)
    expect(admin.get_by_role("row", name=f"{group}-20")).to_contain_text("Active")


def test_a_schedule_rotates(admin: Page, console: Console, pushed: tuple[str, str], vault: VaultObserver):
    group, _key = pushed
    # Ninety days pass.
    with sqlite3.connect(console.state_dir / "db.sqlite3", timeout=20) as database:
        database.execute(
            "UPDATE keygroups_keygroup SET next_due_at = datetime('now', '-1 minute'),"
            " rotation_anchor_at = datetime('now', '-90 days', '-1 minute') WHERE name = ?",
            (group,),
        )
    flows.open_group(admin, group)
    expect(admin.get_by_role("row", name=f"{group}-20")).to_contain_text("Active", timeout=60_000)
    assert len(vault.versions(group)) == 2
    admin.goto("/jobs/")
    expect(admin.get_by_role("row", name="Rotate HSM Protected key(s)").first).to_contain_text("schedule")


def test_deleting_in_the_cloud_leaves_the_key_here(admin: Page, pushed: tuple[str, str], vault: VaultObserver):
    group, key = pushed
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Delete")
    flows.dialog(admin).locator("input[name=typed]").fill(group)
    flows.start(admin)
    flows.await_job(admin)
    assert vault.versions(group) == []
    assert vault.is_deleted(group)
    flows.open_group(admin, group)
    expect(flows.key_row(admin, key)).to_contain_text("Present")


def test_deleting_here_leaves_the_key_in_the_cloud(admin: Page, pushed: tuple[str, str], vault: VaultObserver):
    group, key = pushed
    flows.open_group(admin, group)
    flows.menu(admin, flows.key_row(admin, key), "Delete (local)")
    box = flows.dialog(admin)
    expect(box).to_contain_text("vault")
    box.locator("input[name=typed]").fill(key)
    flows.start(admin)
    flows.await_job(admin)
    flows.open_group(admin, group)
    expect(flows.key_row(admin, key)).to_contain_text("Destroyed")
    assert len(vault.versions(group)) == 1


def test_jobs_and_the_azure_service_log_tell_it_and_download_as_csv(admin: Page, pushed: tuple[str, str]):
    _group, key = pushed
    admin.goto("/jobs/")
    row = admin.get_by_role("row", name="Synchronize HSM Protected key(s)").filter(has_text=key)
    expect(row).to_contain_text("Succeeded")
    row.get_by_role("link").first.click()
    admin.get_by_role("link", name="Azure Service rows of this job").click()
    expect(admin.get_by_role("heading", name="System Logs")).to_be_visible()
    for category in ("Authentication", "KEK", "Key wrap", "Import", "Verification"):
        expect(admin.locator("main tbody")).to_contain_text(category)
    with admin.expect_download() as waiting:
        admin.get_by_role("link", name="Export CSV").click()
    rows = list(csv.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8-sig"))))
    assert len(rows) > 8
    assert any(key in cell for line in rows for cell in line)
