"""What a job's page says of a run that did not go straight: what is left behind, how far it is, what it waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import Console
from tests.jobs.observer import VaultObserver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def vault(console: Console) -> VaultObserver:
    """The Premium vault, asked by the SDK directly."""
    return VaultObserver(console.stand_in)


@pytest.fixture
def group(admin: Page, console: Console) -> str:
    """A group with a credential of its own."""
    credential, group = flows.fresh("cred"), flows.fresh("told")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    return group


@pytest.fixture
def faults(console: Console) -> Iterator[None]:
    """Take the stand-in's faults back."""
    yield
    console.stand_in.control("DELETE", "/_emulator/faults")


def test_a_kek_that_may_not_be_deleted_is_a_warning_that_names_it(admin: Page, console: Console):
    credential, group, client = flows.fresh("cred"), flows.fresh("left"), "55555555-2222-2222-2222-222222222222"
    granted = ["get", "list", "create", "import", "update"]
    rights = {"client_id": client, "secret": "its-secret", "permissions": granted, "arm": True}
    console.stand_in.control("POST", "/_emulator/clients", rights)
    flows.add_credential(admin, credential, **{"Client ID": client, "Client Secret": "its-secret"})
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Force Rotation")
    flows.start(admin)
    flows.await_job(admin, "Succeeded with a warning")
    step = admin.locator(".step").filter(has_text="Discard ephemeral KEK")
    expect(step).to_contain_text("Done, with a warning")
    expect(admin.locator("#job-live").get_by_role("status").filter(has_text="left behind")).to_contain_text("kmes-kek-")


def test_a_version_made_elsewhere_is_shown_the_same_everywhere(admin: Page, group: str, vault: VaultObserver):
    key = f"{group}-key"
    flows.create_key(admin, group, key)
    flows.synchronize(admin, group, key)
    vault.client.create_ec_key(group)
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Check Drift")
    flows.start(admin)
    flows.await_job(admin)
    flows.open_group(admin, group)
    expect(flows.group_link(admin, group)).to_contain_text("differs")
    expect(admin.locator(".group-head")).to_contain_text("differs")
    expect(admin.locator("#keys-pane")).to_contain_text("was not made here")
    expect(flows.key_row(admin, key)).not_to_contain_text(re.compile(r"\bActive\b(?!, differs)"))
    # What deletes counts what the vault holds: one version of ours, and theirs.
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Delete")
    expect(flows.dialog(admin)).to_contain_text("2 versions")
    expect(flows.dialog(admin).get_by_label(f"Type “{group}” to confirm")).to_be_visible()


def test_a_job_that_waits_says_why_until_when_and_how_far_it_came(
    admin: Page, group: str, console: Console, faults: None
):
    names = [f"{group}-{number}" for number in range(1, 4)]
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Create", "Random")
    flows.dialog(admin).get_by_role("link", name="Create several keys").click()
    flows.dialog(admin).get_by_label("Names").fill("\n".join(names))
    flows.start(admin)
    flows.await_job(admin)
    fault = {"method": "PUT", "path": f"/keys/{group}.*", "skip": 1, "count": -1, "status": 503, "retry_after": 60}
    console.stand_in.control("POST", "/_emulator/faults", fault)
    flows.open_group(admin, group)
    admin.get_by_role("checkbox", name="Select all shown").check()
    flows.menu(admin, flows.key_row(admin, names[0]).get_by_role("link", name=names[0], exact=True), "Cloud")
    admin.get_by_role("menuitem", name="Synchronize 3 keys").click()
    code = flows.start(admin)
    outcome = admin.locator(".job-outcome")
    expect(outcome).to_contain_text("Waiting:", timeout=40_000)
    expect(outcome.locator("[data-countdown]")).to_have_text(re.compile(r"^\d:\d\d$"))
    # No step says that it runs while nothing does.
    expect(admin.locator(".step summary .badge").filter(has_text="Running")).to_have_count(0)
    admin.goto("/jobs/?show=all")
    line = admin.locator(f"#row-{code}")
    expect(line).to_contain_text("1 of 3 keys")
    expect(line).to_contain_text("3 keys")
