"""First run: the wizard from a credential to a pushed key, also without script, and the self-certification."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import CLIENT, PASSWORD, SECRET, TENANT, Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def confirm(page: Page) -> None:
    """Confirm the open dialog; the page of the wizard comes back."""
    flows.dialog(page).locator("button[type=submit]").click()
    expect(flows.dialog(page)).to_be_hidden()


def finding(page: Page, text: str | re.Pattern[str]):
    """The line of what was checked that says so."""
    return page.locator("#setup-findings .check").filter(has_text=text)


def test_the_wizard_leads_to_a_pushed_key(admin: Page, console: Console):
    page, credential = admin, flows.fresh("first")
    page.goto("/setup/1/")
    expect(finding(page, "Its self-test passed.")).to_contain_text("OK")
    page.goto("/setup/3/")
    page.get_by_role("link", name="Add a credential").click()
    box = flows.dialog(page)
    fields = {"Name": credential, "Tenant ID": TENANT, "Client ID": CLIENT, "Client Secret": SECRET}
    for label, value in fields.items():
        box.get_by_label(label, exact=True).fill(value)
    box.get_by_role("button", name="Save credential").click()
    line = finding(page, f"{credential} was not tested on a vault yet.")
    line.get_by_role("link", name="List Key Vaults").click()
    confirm(page)
    # The listing is watched, and its end changes what the step offers, without a click.
    line.get_by_role("link", name="Test Connection").click(timeout=30_000)
    expect(flows.dialog(page).get_by_label("Key Vault")).to_contain_text("kv-premium")
    confirm(page)
    expect(finding(page, f"{credential} may do all the console needs on vault kv-premium.")).to_be_visible(
        timeout=40_000
    )
    expect(page.locator("#stepper [aria-current=step]")).to_contain_text("done")
    page.get_by_role("link", name="Next step").click()
    ready = finding(page, re.compile("kv-premium: tier Premium, soft-delete on"))
    ready.first.get_by_role("link", name="Use this vault").click()
    page.get_by_label("Name of the key group").fill(flows.fresh("wizard-group"))
    page.get_by_label("Key Length").select_option("P-256")
    page.get_by_role("button", name="Make the key and push it").click()
    watched = page.locator("#setup-findings .panel")
    expect(watched).to_contain_text("Succeeded", timeout=40_000)
    expect(watched).to_contain_text("Verify import")
    page.get_by_role("link", name="Prove it by a signature").click()
    confirm(page)
    expect(watched).to_contain_text("Verify the signature here", timeout=40_000)
    expect(watched).to_contain_text("Succeeded", timeout=40_000)
    page.get_by_role("link", name="Finish", exact=True).click()
    expect(page.get_by_role("heading", name="What next")).to_be_visible()


def test_without_script_on_a_phone_the_wizard_pushes_too(chromium: Browser, console: Console, admin: Page):
    flows.add_credential(admin, flows.fresh("plain"))
    admin.get_by_role("link", name="List Key Vaults").first.click()
    flows.start(admin)
    flows.await_job(admin)
    context = chromium.new_context(
        base_url=console.url, java_script_enabled=False, locale="en-US", viewport={"width": 360, "height": 740}
    )
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("User name").fill("admin1")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/setup/5/")
    group = flows.fresh("plain-group")
    page.get_by_label("Name of the key group").fill(group)
    page.get_by_label("Key Length").select_option("P-256")
    page.get_by_role("button", name="Make the key and push it").click()
    for _try in range(60):
        if "Succeeded" in page.locator("#setup-findings").inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("#setup-findings .panel")).to_contain_text("Succeeded")
    context.close()


def test_a_self_certification_runs_by_itself_and_its_report_can_be_downloaded(admin: Page, console: Console):
    page = admin
    flows.add_credential(page, flows.fresh("certify"))
    page.get_by_role("link", name="List Key Vaults").first.click()
    flows.start(page)
    flows.await_job(page)
    page.goto("/certifications/")
    page.get_by_role("link", name="Begin a run").click()
    flows.dialog(page).get_by_role("button", name="Begin the run").click()
    page.wait_for_url(re.compile("/certifications/[0-9A-Z]+/$"))
    expect(page.get_by_role("heading", name="Signed report")).to_be_visible(timeout=120_000)
    expect(page.locator("#certification-live [role=status] .badge").first).to_have_text("Passed", timeout=10_000)
    expect(page.locator(".check .badge").filter(has_text="Passed")).to_have_count(15)
    page.locator("#step-prove summary").click()
    expect(page.locator("#step-prove .evidence")).to_contain_text("ES256")
    for name in ("report.json", "report.sig", "signer.pem"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.path().stat().st_size > 50


def test_a_wait_for_a_grant_counts_down_and_is_ended_by_a_person(admin: Page, console: Console):
    page, credential, client = admin, flows.fresh("granted"), "44444444-2222-2222-2222-222222222222"
    granted = ["get", "list", "create", "update", "delete"]
    rights = {"client_id": client, "secret": "its-secret", "permissions": granted, "arm": True}
    console.stand_in.control("POST", "/_emulator/clients", rights)
    page.goto("/setup/3/")
    page.get_by_role("link", name="Add a credential").click()
    box = flows.dialog(page)
    for label, value in {
        "Name": credential,
        "Tenant ID": TENANT,
        "Client ID": client,
        "Client Secret": "its-secret",
    }.items():
        box.get_by_label(label, exact=True).fill(value)
    box.get_by_role("button", name="Save credential").click()
    line = finding(page, f"{credential} was not tested on a vault yet.")
    line.get_by_role("link", name="List Key Vaults").click()
    confirm(page)
    line.get_by_role("link", name="Test Connection").click(timeout=30_000)
    confirm(page)
    wait = page.locator("#setup-findings .alert").filter(has_text="A new grant in Azure needs up to 15 minutes")
    expect(wait.locator("[data-countdown]")).to_have_text(re.compile(r"^0:\d\d$"), timeout=40_000)
    expect(finding(page, f"{credential} failed on vault")).to_contain_text("Import")
    wait.get_by_role("button", name="Stop trying").click()
    expect(wait).to_be_hidden(timeout=40_000)
    expect(page).to_have_url(re.compile("/setup/3/"))


def test_the_ids_of_the_stand_in_are_filled_in_and_a_listing_that_fails_says_so_where_it_was_asked_for(admin: Page):
    page, credential = admin, flows.fresh("mistyped")
    page.goto("/setup/3/")
    page.get_by_role("link", name="Add a credential").click()
    box = flows.dialog(page)
    expect(box.get_by_label("Tenant ID", exact=True)).to_have_value(TENANT)
    expect(box.get_by_label("Client ID", exact=True)).to_have_value(CLIENT)
    box.get_by_label("Name", exact=True).fill(credential)
    box.get_by_label("Client Secret", exact=True).fill("another-secret")
    box.get_by_role("button", name="Save credential").click()
    line = finding(page, f"{credential} was not tested on a vault yet.")
    line.get_by_role("link", name="List Key Vaults").click()
    confirm(page)
    page.evaluate("window.isStill = true")
    said = page.locator("#setup-findings .panel")
    expect(said).to_contain_text("Failed", timeout=30_000)
    expect(said).to_contain_text(re.compile("secret", re.IGNORECASE))
    assert page.evaluate("window.isStill") is True


def test_the_first_password_leads_into_the_set_up_and_not_to_the_profile(
    admin: Page, chromium: Browser, console: Console
):
    name, own = flows.fresh("newcomer"), "a staple for the newcomer alone"
    admin.goto("/")
    has_set_up = admin.locator("#set-up").count() == 1
    admin.goto("/users/")
    admin.get_by_role("link", name="Add › User").click()
    box = flows.dialog(admin)
    box.get_by_label("User name").fill(name)
    box.get_by_label("Administrator").check()
    box.get_by_role("button", name="Add user").click()
    password = box.locator(".one-time-password").inner_text()
    context = chromium.new_context(base_url=console.url, locale="en-US")
    page = context.new_page()
    sign_in(page, name, password)
    page.get_by_label("Current password").fill(password)
    page.get_by_label("New password", exact=True).fill(own)
    page.get_by_label("New password again").fill(own)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible(timeout=30_000)
    # A second factor is offered first, and may be left out.
    page.get_by_role("link", name="Continue without").click()
    # Once a key is in a vault there is nothing to set up.
    expect(page).to_have_url(re.compile(r"/setup/[1-5]/$" if has_set_up else r":\d+/$"))
    context.close()


def test_twenty_keys_are_made_by_one_pattern(admin: Page, console: Console):
    credential, group = flows.fresh("cred"), flows.fresh("tde")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    flows.menu(admin, flows.group_link(admin, group), "Create", "Keys by pattern")
    box = flows.dialog(admin)
    box.get_by_label("Pattern").fill(group + "-{n:02}")
    box.get_by_label("To").fill("20")
    expect(box.locator("#names-preview")).to_contain_text(f"{group}-01")
    expect(box.locator("#names-preview")).to_contain_text(f"{group}-20")
    code = flows.start(admin)
    flows.await_job(admin)
    admin.goto("/jobs/?show=all")
    line = admin.locator(f"#row-{code}")
    # The progress counts what was asked for, and the subject is whole.
    expect(line).to_contain_text("20 of 20 keys")
    expect(line).to_contain_text("20 keys")
