"""The Keys view by mouse and keyboard: the tree, several keys at once, tabs, conflicts, drift, removal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import flows
from tests.browser.conftest import Console, sign_in
from tests.jobs.observer import VaultObserver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def vault(console: Console) -> VaultObserver:
    """The Premium vault, asked by the SDK directly."""
    return VaultObserver(console.stand_in)


@pytest.fixture
def group(admin: Page, console: Console) -> str:
    """A group with four keys that nobody pushed."""
    credential, group = flows.fresh("cred"), flows.fresh("tree")
    flows.add_credential(admin, credential)
    flows.add_group(admin, group, credential, console.stand_in.vault_url("kv-premium"))
    create_keys(admin, group, [f"{group}-k{number}" for number in range(1, 5)])
    return group


@pytest.fixture
def second(chromium: Browser, console: Console) -> Iterator[Page]:
    """Another administrator in a browser of their own."""
    context = chromium.new_context(base_url=console.url, locale="en-US")
    page = context.new_page()
    sign_in(page, "admin2")
    yield page
    context.close()


def create_keys(page: Page, group: str, names: list[str]) -> None:
    flows.open_group(page, group)
    flows.menu(page, flows.group_link(page, group), "Create", "Random")
    flows.dialog(page).get_by_role("link", name="Create several keys").click()
    flows.dialog(page).get_by_label("Names").fill("\n".join(names))
    flows.start(page)
    flows.await_job(page)


def cell(page: Page, key: str) -> Locator:
    """A place in the key's row that is no link."""
    return flows.key_row(page, key).get_by_role("cell").nth(2)


def selected(page: Page) -> Locator:
    return page.locator("#keys-pane [data-checked-count]")


def test_the_tree_is_walked_by_keyboard(admin: Page, group: str):
    flows.open_group(admin, group)
    node = admin.get_by_role("treeitem", name=group).first
    expect(node).to_have_attribute("aria-selected", "true")
    node.focus()
    admin.keyboard.press("ArrowRight")
    expect(node).to_have_attribute("aria-expanded", "true")
    expect(node.locator("xpath=..").get_by_role("treeitem")).to_have_count(5)
    admin.keyboard.press("ArrowRight")
    expect(admin.get_by_role("treeitem", name=f"{group}-k4")).to_be_focused()
    admin.keyboard.type(f"{group}-k2")
    expect(admin.get_by_role("treeitem", name=f"{group}-k2")).to_be_focused()
    admin.keyboard.press("Shift+F10")
    expect(admin.get_by_role("menu", name=f"Actions for {group}-k2")).to_be_visible()
    admin.keyboard.press("Escape")
    expect(admin.get_by_role("treeitem", name=f"{group}-k2")).to_be_focused()
    admin.keyboard.press("ArrowLeft")
    expect(node).to_be_focused()
    admin.keyboard.press("ArrowLeft")
    expect(node).to_have_attribute("aria-expanded", "false")
    admin.keyboard.press("Home")
    expect(admin.get_by_role("treeitem").first).to_be_focused()
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("treeitem").first).to_have_attribute("aria-selected", "true")


def test_an_open_branch_is_open_again_after_the_page_was_left(admin: Page, group: str):
    flows.open_group(admin, group)
    admin.get_by_role("treeitem", name=group).first.locator("[data-twist]").first.click()
    expect(admin.get_by_role("treeitem", name=f"{group}-k1")).to_be_visible()
    admin.goto("/jobs/")
    admin.goto("/keys/")
    expect(admin.get_by_role("treeitem", name=f"{group}-k1")).to_be_visible()


def test_back_leads_to_the_group_before(admin: Page, group: str, console: Console):
    other = flows.fresh("other")
    credential = flows.fresh("cred")
    flows.add_credential(admin, credential)
    flows.add_group(admin, other, credential, console.stand_in.vault_url("kv-premium"))
    flows.open_group(admin, group)
    expect(admin.get_by_role("heading", name=group)).to_be_visible()
    flows.group_link(admin, other).click()
    expect(admin.get_by_role("heading", name=other)).to_be_visible()
    expect(admin).to_have_title(f"{other} · Keys · KMES console")
    admin.go_back()
    expect(admin.get_by_role("heading", name=group)).to_be_visible()


def test_a_group_the_tree_does_not_show_renews_itself_all_the_same(admin: Page, second: Page, group: str):
    said: list[str] = []
    second.on("console", lambda message: said.append(message.text))
    flows.open_group(second, group)
    second.evaluate("document.getElementById(document.getElementById('keys-pane').dataset.renews).remove()")
    create_keys(admin, group, ["made-elsewhere"])
    expect(cell(second, "made-elsewhere")).to_be_visible()
    assert said == []


def test_keys_are_selected_as_in_desktop_lists(admin: Page, group: str):
    flows.open_group(admin, group)
    cell(admin, f"{group}-k4").click()
    expect(selected(admin)).to_have_text("1")
    cell(admin, f"{group}-k2").click(modifiers=["Shift"])
    expect(selected(admin)).to_have_text("3")
    cell(admin, f"{group}-k3").click(modifiers=["ControlOrMeta"])
    expect(selected(admin)).to_have_text("2")
    # Outside the selection the row is selected first, and the menu is its own.
    cell(admin, f"{group}-k1").click(button="right")
    expect(admin.get_by_role("menu", name=f"Actions for {group}-k1")).to_be_visible()
    expect(selected(admin)).to_have_text("1")
    admin.keyboard.press("Escape")
    flows.key_row(admin, f"{group}-k4").focus()
    admin.keyboard.press("Control+a")
    expect(selected(admin)).to_have_text("4")
    # A table that renews itself keeps what is selected.
    admin.wait_for_timeout(3500)
    expect(selected(admin)).to_have_text("4")


# A right-click in one go, so that no renewal of the table comes in between. Tells whether the browser's own menu opens.
RIGHT_CLICK = """(element, when) => {
  const at = element.getBoundingClientRect();
  const press = { bubbles: true, cancelable: true, button: 2, clientX: at.x + 4, clientY: at.y + 4 };
  getSelection().removeAllRanges();
  if (when === "before") getSelection().selectAllChildren(element);
  element.dispatchEvent(new PointerEvent("pointerdown", press));
  if (when === "by the press") getSelection().selectAllChildren(element);
  return element.dispatchEvent(new MouseEvent("contextmenu", press));
}"""


def test_what_was_selected_keeps_the_browsers_menu_but_not_what_the_right_click_selects(admin: Page, group: str):
    flows.open_group(admin, group)
    name = flows.key_row(admin, f"{group}-k1").get_by_role("link", name=f"{group}-k1")
    assert name.evaluate(RIGHT_CLICK, "before")
    # As Firefox does with a picture under the pointer, and a phone with the word under a long press.
    assert not name.evaluate(RIGHT_CLICK, "by the press")
    expect(admin.get_by_role("menu", name=f"Actions for {group}-k1")).to_be_visible()


def test_several_keys_are_pushed_by_one_job_from_the_menu(admin: Page, group: str, vault: VaultObserver):
    flows.open_group(admin, group)
    cell(admin, f"{group}-k4").click()
    cell(admin, f"{group}-k2").click(modifiers=["Shift"])
    flows.menu(admin, cell(admin, f"{group}-k3"), "Cloud", "Synchronize 3 keys")
    expect(flows.dialog(admin)).to_contain_text("Synchronize 3 keys")
    flows.start(admin)
    flows.await_job(admin)
    expect(admin.locator("#job-log")).to_contain_text("Successfully synchronized 3 HSM protected key(s)")
    assert len(vault.versions(group)) == 3
    flows.open_group(admin, group)
    expect(flows.key_row(admin, f"{group}-k1")).to_contain_text("Not synchronized")


def test_the_bar_asks_before_it_deletes_several(admin: Page, group: str):
    flows.open_group(admin, group)
    admin.get_by_role("checkbox", name="Select all shown").check()
    admin.get_by_role("button", name="Delete (local)", exact=True).click()
    box = flows.dialog(admin)
    expect(box).to_contain_text("Delete 4 keys (local)")
    box.locator("input[name=typed]").fill(group)
    flows.start(admin)
    flows.await_job(admin)
    expect(admin.locator("#job-log")).to_contain_text("Successfully destroyed 4 HSM protected key(s)")


def test_the_box_in_the_heading_picks_all_rows_by_keyboard(admin: Page, group: str):
    flows.open_group(admin, group)
    box = admin.get_by_role("checkbox", name="Select all shown")
    # One control: the bar's own is for cards, which have no heading.
    expect(box).to_have_count(1)
    box.focus()
    admin.keyboard.press("Space")
    expect(selected(admin)).to_have_text("4")
    flows.key_row(admin, f"{group}-k2").get_by_role("checkbox").uncheck()
    assert box.evaluate("box => box.indeterminate")
    box.focus()
    admin.keyboard.press("Space")
    admin.keyboard.press("Space")
    expect(selected(admin)).to_have_text("0")
    admin.set_viewport_size({"width": 360, "height": 800})
    expect(box).to_have_count(1)
    box.check()
    expect(selected(admin)).to_have_text("4")


def test_the_search_answers_while_one_types_in_tree_and_table(admin: Page, group: str):
    admin.goto("/keys/")
    before = admin.evaluate("history.length")
    field = admin.get_by_role("searchbox", name="Name of a group or key")
    field.press_sequentially(f"{group}-k3", delay=30)
    expect(admin.locator("#announcer")).to_have_text("1 key")
    expect(admin.locator("#keys-groups .tree-link")).to_have_count(1)
    expect(field).to_be_focused()
    admin.wait_for_url(f"**/keys/?*q={group}-k3*")
    assert admin.evaluate("history.length") == before
    admin.get_by_role("link", name="Clear filters").first.click()
    admin.wait_for_url(lambda address: "q=" not in address)
    admin.get_by_role("searchbox", name="Name of a group or key").fill("nothing is called that")
    expect(admin.locator("#announcer")).to_have_text("No key matches")


def test_the_group_dialog_lists_vaults_and_keeps_what_was_typed(admin: Page, console: Console):
    credential = flows.fresh("cred")
    flows.add_credential(admin, credential)
    admin.goto("/keys/")
    admin.get_by_role("link", name="Add › Key Group").first.click()
    box = flows.dialog(admin)
    box.get_by_role("button", name="OK").click()
    name = flows.fresh("listed")
    box.get_by_label("Name", exact=True).fill(name)
    box.get_by_label("Credential").select_option(label=credential)
    box.get_by_role("tab", name="Info").click()
    box.get_by_label("Notes").fill("half written")
    box.get_by_role("tab", name="Azure Properties").click()
    box.get_by_role("button", name="List Key Vaults").click()
    # The field is exact, because "Key Vault name or URL" stands beside it.
    vaults = box.get_by_label("Key Vault", exact=True)
    expect(box.locator("#vault-listing")).to_contain_text("3 vaults found")
    vaults.select_option(label="kv-protected (Premium)")
    expect(vaults.get_by_role("option", name="kv-standard (Standard)")).to_have_count(1)
    # Enter saves; the button that lists stands before the one that saves and must not catch it.
    box.get_by_label("Azure key name").press("Enter")
    admin.wait_for_url("**/keys/?group=*")
    expect(admin.get_by_role("heading", name=name)).to_be_visible()
    admin.get_by_role("button", name="Details", exact=True).click()
    expect(admin.get_by_text("half written")).to_be_visible()
    expect(admin.get_by_text("pushes to kv-protected (Premium)")).to_be_visible()


def test_without_script_the_group_page_lists_vaults_and_keeps_what_was_typed(
    admin: Page, chromium: Browser, console: Console
):
    credential = flows.fresh("cred")
    flows.add_credential(admin, credential)
    context = chromium.new_context(base_url=console.url, java_script_enabled=False, locale="en-US")
    page = context.new_page()
    sign_in(page, "admin1")
    page.goto("/keys/groups/add/?key_kind=asymmetric&storage=hsm")
    name = flows.fresh("plain")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Credential", exact=True).select_option(label=credential)
    # Without script each answer is a page, and what the one before showed says nothing.
    with page.expect_navigation():
        page.get_by_role("button", name="List Key Vaults").click()
    for _turn in range(30):
        if page.get_by_text("3 vaults found").count():
            break
        page.wait_for_timeout(300)
        with page.expect_navigation():
            page.get_by_role("button", name="Show what was found").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    page.locator("#id_vault").select_option(
        page.locator(f'optgroup[label="{credential}"] option', has_text="kv-premium").get_attribute("value") or ""
    )
    page.get_by_label("Azure key name").press("Enter")
    page.wait_for_url("**/keys/?group=*")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    context.close()


def test_the_tabs_of_the_group_dialog_go_by_keyboard_and_open_at_the_error(admin: Page, group: str):
    admin.goto("/keys/")
    admin.get_by_role("link", name="Add › Key Group").first.click()
    box = flows.dialog(admin)
    box.get_by_role("button", name="OK").click()
    first = box.get_by_role("tab", name="Group")
    expect(first).to_have_attribute("aria-selected", "true")
    expect(box.get_by_label("Name", exact=True)).to_be_focused()
    first.focus()
    admin.keyboard.press("End")
    expect(box.get_by_role("tab", name="Azure Properties")).to_be_focused()
    expect(box.get_by_label("Azure key name")).to_be_visible()
    admin.keyboard.press("ArrowRight")
    expect(first).to_be_focused()
    expect(box.get_by_label("Azure key name")).to_be_hidden()
    box.get_by_label("Name", exact=True).fill("needs a vault")
    box.get_by_label("Credential").select_option(index=1)
    box.get_by_role("button", name="Add key group").click()
    expect(box.get_by_role("tab", name="Azure Properties: 1 fields to correct")).to_have_attribute(
        "aria-selected", "true"
    )
    expect(box.get_by_label("Key Vault", exact=True)).to_be_focused()


def test_two_people_edit_one_group_and_the_second_sees_the_difference(admin: Page, second: Page, group: str):
    for page in (admin, second):
        flows.open_group(page, group)
        flows.menu(page, flows.group_link(page, group), "Edit")
        expect(flows.dialog(page).get_by_label("Rotate Every")).to_have_value("90")
    flows.dialog(admin).get_by_label("Rotate Every").fill("30")
    flows.dialog(admin).get_by_role("button", name="Save key group").click()
    expect(admin.get_by_text(f"Key group {group} saved.")).to_be_visible()
    box = flows.dialog(second)
    box.get_by_label("Rotate Every").fill("60")
    box.get_by_role("button", name="Save key group").click()
    expect(box).to_contain_text("was changed by somebody else while you were editing it")
    row = box.get_by_role("row", name="Rotate Key")
    expect(row).to_contain_text("30 days")
    expect(row).to_contain_text("60 days")
    box.get_by_role("button", name="Save key group").click()
    expect(second.get_by_text(f"Key group {group} saved.")).to_be_visible()


def test_a_difference_is_found_and_set_back(admin: Page, group: str, vault: VaultObserver):
    flows.synchronize(admin, group, f"{group}-k1")
    (version,) = vault.versions(group)
    vault.client.update_key_properties(group, version, enabled=False)
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Check Drift")
    flows.start(admin)
    flows.await_job(admin)
    admin.get_by_role("link", name="See the differences").click()
    expect(admin.get_by_role("row", name="Enabled")).to_contain_text("differs")
    admin.get_by_role("link", name="Revert to known values").click()
    flows.start(admin)
    flows.await_job(admin)
    expect(admin.locator("#job-log")).to_contain_text(f"Repaired HSM protected key {group}-k1")
    assert vault.client.get_key(group, version).properties.enabled is True


def test_both_sides_are_deleted_from_one_matrix(admin: Page, group: str, vault: VaultObserver):
    flows.synchronize(admin, group, f"{group}-k1")
    flows.open_group(admin, group)
    flows.menu(admin, flows.group_link(admin, group), "Cloud", "Delete")
    box = flows.dialog(admin)
    expect(box.get_by_label(f"Type “{group}” to confirm")).to_be_visible()
    expect(box.get_by_role("button", name="Delete from Azure", exact=True)).to_be_visible()
    box.get_by_label("Local").check()
    expect(box.get_by_role("button", name="Delete keys here", exact=True)).to_be_visible()
    box.get_by_label("Both").check()
    expect(box.get_by_role("button", name="Delete here and from Azure", exact=True)).to_be_visible()
    box.get_by_label(f"Type “{group}” to confirm").fill(group)
    flows.start(admin)
    flows.await_job(admin)
    admin.locator("dt:has-text('Followed by') + dd a").click()
    flows.await_job(admin)
    expect(admin.locator("#job-log")).to_contain_text("Successfully destroyed 4 HSM protected key(s)")
    assert vault.is_deleted(group)


def test_a_right_click_on_the_background_of_the_keys_asks_about_their_group(admin: Page, console: Console):
    credential, name = flows.fresh("bg-cred"), flows.fresh("background")
    flows.add_credential(admin, credential)
    flows.add_group(admin, name, credential, console.stand_in.vault_url("kv-premium"))
    admin.locator("#keys-pane").click(button="right", position={"x": 300, "y": 300})
    expect(admin.get_by_role("menuitem", name="Create", exact=True)).to_be_focused()
    admin.keyboard.press("Escape")
    expect(admin.get_by_role("menu")).to_have_count(0)
