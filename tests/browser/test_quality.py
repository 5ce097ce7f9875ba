"""Every page, by everybody: axe in light and dark, 360 px, by keyboard alone, without script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import flows
from tests.browser.conftest import PASSWORD, Console, sign_in
from tests.browser.waiting_requests import make_waiting_requests
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
# Scripts follow a change of colours or width with the next frames.
SETTLE_MS = 60
# What depends on colours: the rest of axe's rules finds the same in light and dark.
OF_COLOURS = ("color-contrast", "link-in-text-block")
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def furnished(chromium: Browser, console: Console) -> dict[str, str]:
    """A console with something of everything; returns the pages by name."""
    context = chromium.new_context(base_url=console.url, viewport={"width": 1280, "height": 860}, locale="en-US")
    page = context.new_page()
    sign_in(page, "admin1")
    credential, group = flows.fresh("cred"), flows.fresh("furnished")
    flows.add_credential(page, credential)
    credential_page = page.url
    flows.add_group(page, group, credential, console.stand_in.vault_url("kv-premium"))
    group_page = page.url
    flows.create_key(page, group, "a-key")
    code = flows.synchronize(page, group, "a-key")
    flows.open_group(page, group)
    key_page = flows.key_row(page, "a-key").get_by_role("link", name="a-key").get_attribute("href") or ""
    page.goto("/logs/?service=azure")
    row_page = page.locator("main tbody tr a").first.get_attribute("href") or ""
    page.goto("/cloud-credentials/")
    page.get_by_role("link", name=credential).first.click()
    page.get_by_role("link", name="List Key Vaults").first.click()
    flows.start(page)
    flows.await_job(page)
    page.goto(credential_page)
    vault_page = page.get_by_role("link", name="kv-premium", exact=True).get_attribute("href") or ""
    page.goto("/certifications/new/")
    page.get_by_role("button", name="Begin the run").click()
    page.wait_for_url(re.compile("/certifications/(?!new)[0-9A-Z]+/$"))
    certification_page = page.url
    page.goto("/jobs/?show=all")
    job_id = page.locator("tbody [data-check-row]").first.get_attribute("value")
    context.close()
    group_id, key_id = group_page.rpartition("=")[2], key_page.split("/")[-2]
    groups, keys = f"group_selection=1&picked={group_id}", f"selection=1&key={key_id}"
    pages = {
        "dashboard": "/",
        "outlook": "/outlook/",
        "custody map": "/keys/custody/",
        "rotation calendar": "/keys/calendar/",
        "acknowledge": "/attention/unseen-vaults/acknowledge/",
        "credentials": "/cloud-credentials/",
        "credential": credential_page,
        "vault": vault_page,
        "credential form": "/cloud-credentials/add/",
        "azure guide": "/cloud-credentials/guide/",
        **{f"set-up {number}": f"/setup/{number}/" for number in range(1, 6)},
        "set-up done": "/setup/done/",
        "certifications": "/certifications/",
        "certification form": "/certifications/new/",
        "certification": certification_page,
        "keys": "/keys/",
        "group": group_page,
        "inspected key": f"{group_page}&inspect={key_page.split('/')[-2]}",
        "group form": "/keys/groups/add/",
        "group tabs": "/keys/groups/add/?key_kind=asymmetric&storage=hsm",
        "keys by vault": "/keys/?view=vault",
        "drift": f"/keys/groups/{group_page.rpartition('=')[2]}/drift/",
        "removal": f"/jobs/remove/?group={group_page.rpartition('=')[2]}",
        "key": key_page,
        "jobs": "/jobs/?show=all",
        "job": f"/jobs/{code}/",
        "calls of a job": f"/jobs/{code}/sequence/",
        "start": f"/jobs/start/rotate/?group={group_page.rpartition('=')[2]}",
        "azure log": "/logs/?service=azure",
        "audit log": "/logs/?service=audit",
        "device log": "/logs/?service=device",
        "log row": row_page,
        "reports": "/reports/",
        "key age": "/reports/key-age/",
        "rotation compliance": "/reports/rotation/",
        "expiring": "/reports/expiring/",
        "activity": "/reports/activity/?q=admin",
        "unmanaged": "/reports/unmanaged/",
        "notices": "/notices/",
        "own mail": "/notices/mail/",
        "notice channels": "/administration/notices/",
        "webhook form": "/administration/notices/add/webhook/",
        "log forwarding": "/forwarding/",
        "log destination form": "/forwarding/add/",
        "company sign-on": "/company-sign-on/",
        "filtered log": "/logs/?service=azure&severity=info&q=key",
        "save filter": "/logs/filters/save/?service=azure&severity=info",
        "exports": "/logs/exports/",
        "checkpoints": "/logs/checkpoints/",
        "device": "/administration/device/",
        "configuration": "/administration/configuration/",
        "options": "/administration/configuration/options/",
        "schedule": "/administration/configuration/schedule/",
        "users": "/users/",
        "user": "/users/2/",
        "user form": "/users/add/",
        "password reset": "/users/2/reset-password/",
        "unlink": "/users/2/unlink/",
        "roles": "/roles/",
        "role": "/roles/custodian/",
        "role form": "/roles/add/?template=operator",
        "role to delete": "/roles/custodian/delete/",
        "dual login": "/dual-login/",
        "own sessions": "/profile/sessions/",
        "all sessions": "/sessions/",
        "second factor": "/profile/second-factor/",
        "events of a key": f"/keys/{key_id}/events/",
        "events of all versions": f"/keys/{key_id}/events/?version=all",
        "actions without script": f"/keys/groups/{group_id}/actions/",
        "rotation of several groups": f"/keys/groups/selection/rotation/?{groups}",
        "reschedule several groups": f"/keys/groups/selection/reschedule/?{groups}",
        "rotate several groups": f"/jobs/start-many/rotate/?{groups}",
        "synchronize several keys": f"/jobs/start/synchronize/?{keys}",
        "deactivate several users": "/users/selection/deactivate/?key=2",
        "cancel several jobs": f"/jobs/selection/cancel/?key={job_id}",
        **make_waiting_requests(console),
        "permissions": f"/keys/groups/{group_page.rpartition('=')[2]}/permissions/",
        "profile": "/profile/",
        "own password": "/profile/password/",
        "recent tasks": "/jobs/drawer/",
        "search": "/search/?q=furnished",
        "shortcuts": "/shortcuts/",
        "preferences": "/preferences/",
        "columns": "/preferences/tables/jobs/",
        "views": "/preferences/tables/jobs/views/",
    }
    return {name: address.removeprefix(console.url) for name, address in pages.items()}


@pytest.fixture
def signed_in(chromium: Browser, console: Console) -> Iterator:
    """Open pages of admin1 with the given screen."""
    contexts = []

    def opened(**options) -> Page:
        # axe itself is put into the page from outside, which the policy would forbid to anybody else.
        context = chromium.new_context(base_url=console.url, locale="en-US", **options)
        contexts.append(context)
        page = context.new_page()
        sign_in(page, "admin1")
        return page

    yield opened
    for context in contexts:
        context.close()


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds on the page as it is, by these rules or all."""
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = page.evaluate("options => axe.run(options).then(r => r.violations)", options)
    return [f"{each['id']} {json.dumps([node['target'] for node in each['nodes']][:3])}" for each in found]


@pytest.mark.parametrize("half", [0, 1])
def test_every_page_satisfies_axe_in_light_and_dark_and_fits_every_width(half, signed_in, furnished):
    # Without motion: colours on their way from light to dark are nobody's.
    page = signed_in(viewport={"width": 1280, "height": 860}, bypass_csp=True, reduced_motion="reduce")
    found = []
    for name, address in list(furnished.items())[half::2]:
        page.set_viewport_size({"width": 1280, "height": 860})
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, f"{name}: {answer.status}"
        page.evaluate(AXE.read_text())
        for scheme, rules in (("light", ()), ("dark", OF_COLOURS)):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(SETTLE_MS)
            found += [f"{name}, {scheme}: {each}" for each in violations(page, *rules)]
        for width in (320, 360, 1024, 1920):
            page.set_viewport_size({"width": width, "height": 740})
            page.wait_for_timeout(SETTLE_MS)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
                found.append(f"{name} scrolls sideways at {width} px")
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens_over_a_page(scheme, signed_in, furnished):
    page = signed_in(color_scheme=scheme, viewport={"width": 1280, "height": 860}, bypass_csp=True)
    page.goto(furnished["group"])
    page.evaluate(AXE.read_text())
    openings = {
        "palette": lambda: (page.keyboard.press("Control+k"), page.keyboard.type("a-key")),
        "nothing found": lambda: (page.keyboard.press("Control+k"), page.keyboard.type("no such thing")),
        "account": lambda: page.locator("[data-account] summary").click(),
        "drawer": lambda: page.keyboard.press("t"),
        "shortcuts": lambda: page.keyboard.press("?"),
        "columns": lambda: page.get_by_role("link", name="Columns of Keys").click(),
        "inspector": lambda: page.get_by_role("button", name="Details", exact=True).click(),
        "selection": lambda: page.get_by_role("checkbox", name="Select a-key").check(),
        "menu": lambda: flows.key_row(page, "a-key").get_by_role("link", name="a-key").click(button="right"),
    }
    found = []
    for name, open_it in openings.items():
        open_it()
        page.wait_for_timeout(600)
        found += [f"{name}: {each}" for each in violations(page)]
        page.keyboard.press("Escape")
    assert found == []


def test_without_script_one_reads_fills_forms_and_starts_jobs(chromium: Browser, console: Console, furnished):
    context = chromium.new_context(base_url=console.url, java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("User name").fill("admin1")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(furnished["group"])
    page.get_by_role("link", name="Actions for a-key").click()
    expect(page.get_by_role("heading", name="Actions for a-key")).to_be_visible()
    page.goto(furnished["group"])
    page.locator(".group-head").get_by_role("link", name=re.compile("^Actions for")).click()
    page.get_by_role("link", name="Create › Random").click()
    page.get_by_label("Name").fill(flows.fresh("plain"))
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/jobs/*/")
    for _try in range(40):
        if "Succeeded" in page.locator("#job-live").inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("#job-live")).to_contain_text("Succeeded")
    context.close()


def test_by_keyboard_alone_a_key_is_found_pushed_and_its_log_read(signed_in, furnished, console: Console):
    page = signed_in(viewport={"width": 1280, "height": 860})
    page.goto(furnished["group"])
    name = flows.fresh("keyed")
    page.locator(".group-head [data-menu-button]").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Create", exact=True)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(flows.dialog(page).get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*/")
    flows.await_job(page)
    page.goto(furnished["group"])
    row = flows.key_row(page, name)
    row.focus()
    page.keyboard.press("Shift+F10")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.type("cl")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("menuitem", name="Synchronize")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(row).to_be_focused()
    page.keyboard.press("Shift+F10")
    page.keyboard.type("cl")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(flows.dialog(page)).to_be_visible()
    flows.dialog(page).locator("button[type=submit]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*/")
    flows.await_job(page)
    page.get_by_role("link", name="Azure Service rows of this job").focus()
    page.keyboard.press("Enter")
    export = page.get_by_role("link", name="Export CSV")
    export.focus()
    with page.expect_download():
        page.keyboard.press("Enter")


def test_a_double_click_starts_one_job(signed_in, furnished):
    page = signed_in(viewport={"width": 1280, "height": 860})
    jobs = f"/jobs/?show=all&kind=check_drift&group={furnished['group'].rpartition('=')[2]}"
    page.goto(jobs)
    # Other tests compare the same group.
    before = page.locator("#job-results tbody tr").count()
    page.goto(furnished["group"])
    flows.menu(page, page.locator(".group-head h2"), "Cloud", "Check Drift")
    flows.dialog(page).locator("button[type=submit]").dblclick()
    page.wait_for_url("**/jobs/*/")
    flows.await_job(page)
    page.goto(jobs)
    expect(page.locator("#job-results tbody tr")).to_have_count(before + 1)
