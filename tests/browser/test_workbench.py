"""The workbench with sixty groups: panes that scroll by themselves, dense rows, the inspector, every width."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import GROUPS, Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def whole_in_view(page: Page, selector: str) -> int:
    """Count the elements that are to be seen whole: in the window and in each pane that scrolls around them."""
    return int(
        page.evaluate(
            """selector => [...document.querySelectorAll(selector)].filter(each => {
                const at = each.getBoundingClientRect();
                if (!at.height || at.top < 0 || at.bottom > document.querySelector("#drawer").getBoundingClientRect().top)
                    return false;
                for (let pane = each.parentElement; pane; pane = pane.parentElement) {
                    if (getComputedStyle(pane).overflowY === "visible") continue;
                    const edge = pane.getBoundingClientRect();
                    if (at.top < edge.top - 1 || at.bottom > edge.bottom + 1) return false;
                }
                return true;
            }).length""",
            selector,
        )
    )


def rows(page: Page) -> Locator:
    return page.locator("#keys-pane tbody tr")


def cell(page: Page, row: int) -> Locator:
    """A cell of a row that holds no link."""
    return rows(page).nth(row).locator("td").nth(2)


def inspector(page: Page) -> Locator:
    return page.get_by_role("region", name="Details")


def open_group(page: Page, number: int) -> str:
    name = f"seed-{number:05}"
    page.locator("#groups-scroll").get_by_role("link", name=re.compile(rf"^{name}\b")).click()
    expect(page.locator(".group-head h2")).to_have_text(name)
    return name


def test_sixteen_keys_and_fourteen_groups_are_seen_at_once(bench: Page):
    bench.goto("/keys/")
    assert whole_in_view(bench, "#groups-scroll .tree-row") >= 14
    assert whole_in_view(bench, "#keys-pane tbody tr") >= 16
    box = rows(bench).nth(3).bounding_box()
    assert box
    assert box["height"] <= 29


def test_trial_data_are_written_beside_a_running_console_without_its_settings(bench: Page):
    """The console of these tests has been filled so, and without --yes-really."""
    bench.goto("/keys/")
    expect(bench.locator("#keys-groups")).to_contain_text(f"Key groups {GROUPS}")


def test_a_group_far_down_the_list_shows_its_keys_beside_it_and_both_lists_stay_where_they_are(bench: Page):
    bench.goto("/keys/")
    last = bench.locator("#groups-scroll .tree-link").last
    last.scroll_into_view_if_needed()
    before = bench.locator("#groups-scroll").evaluate("pane => pane.scrollTop")
    assert before > 500
    open_group(bench, GROUPS)
    head = bench.locator(".group-head h2").bounding_box()
    assert head
    assert head["y"] < 300
    assert bench.locator("#groups-scroll").evaluate("pane => pane.scrollTop") == before
    assert bench.evaluate("scrollY") == 0
    # Whoever opens the address finds the group in sight, too.
    bench.reload()
    assert whole_in_view(bench, "#groups-scroll .tree-row:has([aria-current])") == 1


def test_a_table_that_renews_itself_stays_where_it_was_scrolled_to(bench: Page, busy_console: Console):
    bench.set_viewport_size({"width": 1440, "height": 600})
    bench.goto("/keys/")
    frame = bench.locator("#keys-frame")
    frame.evaluate("frame => { frame.scrollTop = 90; frame.dataset.old = '1' }")
    # Any other digest: what the page has seen is made old.
    bench.evaluate(
        """() => {
            const pane = document.getElementById("keys-pane");
            pane.setAttribute("hx-headers", '{"X-Kmes-Seen": "old"}');
            pane.dispatchEvent(new CustomEvent("refresh"));
        }"""
    )
    expect(bench.locator("#keys-frame:not([data-old])")).to_be_visible()
    assert frame.evaluate("frame => frame.scrollTop") == 90


@pytest.mark.parametrize("width", [768, 1024, 1280, 1440, 1920])
def test_no_column_is_cut_off_at_the_right_edge(bench: Page, width: int):
    bench.set_viewport_size({"width": width, "height": 900})
    bench.goto("/keys/")
    frame = bench.locator("#keys-frame")
    assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") <= 1
    missing = bench.locator("[data-columns-out]")
    headings = [text.strip() for text in bench.locator("#keys-frame thead th:visible").all_inner_texts()]
    assert headings[1].startswith("Name")
    assert "In Azure" in headings
    if width >= 1440:
        assert "Expires" in headings
    if width == 1920:
        expect(missing).to_be_hidden()
        assert "Last job" in headings
        return
    # What is left out is named, and the inspector has it.
    expect(missing).to_contain_text("Last job")
    cell(bench, 1).click()
    expect(inspector(bench)).to_contain_text("Last job")
    expect(inspector(bench).get_by_role("link", name=re.compile("^job-"))).to_be_visible()


def test_the_active_key_stays_above_the_others_whatever_sorts_them(bench: Page):
    bench.goto("/keys/")
    active = rows(bench).filter(has_text="Active").get_by_role("link").first.inner_text()
    for sort in ("name", "-name", "cloud_state", "-created_at"):
        bench.goto(f"/keys/?sort={sort}")
        expect(rows(bench).first).to_contain_text(active)
    bench.set_viewport_size({"width": 1440, "height": 560})
    bench.locator("#keys-frame").evaluate("frame => frame.scrollTo(0, frame.scrollHeight)")
    assert whole_in_view(bench, "#keys-pane tr.is-pinned > td.name-cell") == 1


def test_the_state_in_azure_sorts_and_one_arrow_says_by_what(bench: Page):
    bench.goto("/keys/?q=seed-0000")
    sorted_headings = bench.locator("#keys-frame th[aria-sort]")
    expect(sorted_headings).to_have_count(1)
    bench.locator("#keys-frame thead").get_by_role("link", name="In Azure").click()
    bench.wait_for_url("**sort=cloud_state*")
    expect(sorted_headings).to_have_count(1)
    expect(sorted_headings).to_contain_text("In Azure")
    expect(rows(bench).first).to_contain_text("Active")
    bench.locator("#keys-frame thead").get_by_role("link", name="In Azure").click()
    bench.wait_for_url("**sort=-cloud_state*")
    expect(rows(bench).first).to_contain_text("Superseded")


def test_a_click_inspects_a_key_and_escape_closes_the_inspector(bench: Page):
    bench.goto("/keys/")
    group = open_group(bench, 7)
    expect(inspector(bench)).to_be_hidden()
    cell(bench, 1).click()
    name = rows(bench).nth(1).get_by_role("link").first.inner_text()
    expect(inspector(bench).get_by_role("heading", name=name)).to_be_visible()
    expect(rows(bench).nth(1)).to_have_attribute("aria-current", "true")
    assert "inspect=" in bench.url
    # The keyboard goes on in the list, and the inspector follows.
    bench.keyboard.press("ArrowDown")
    other = rows(bench).nth(2).get_by_role("link").first.inner_text()
    expect(inspector(bench).get_by_role("heading", name=other)).to_be_visible()
    bench.reload()
    expect(inspector(bench).get_by_role("heading", name=other)).to_be_visible()
    rows(bench).nth(2).focus()
    bench.keyboard.press("Escape")
    expect(inspector(bench)).to_be_hidden()
    expect(rows(bench).nth(2)).to_be_focused()
    assert "inspect=" not in bench.url
    bench.keyboard.press("ArrowDown")
    bench.keyboard.press(" ")
    expect(inspector(bench)).to_be_visible()
    expect(rows(bench).nth(3).get_by_role("checkbox")).to_be_checked()
    # Another group brings its own details, and the page remembers that they are open.
    open_group(bench, 8)
    expect(inspector(bench).locator(".inspector-title")).to_have_text("seed-00008")
    bench.goto(f"/keys/?q={group}")
    expect(inspector(bench)).to_be_visible()


def test_the_panes_are_sized_by_mouse_and_keyboard_and_remembered(bench: Page):
    bench.goto("/keys/")
    grip = bench.get_by_role("separator", name=re.compile("^Width of the key groups"))
    grip.focus()
    before = int(grip.get_attribute("aria-valuenow") or 0)
    bench.keyboard.press("ArrowRight")
    expect(grip).to_have_attribute("aria-valuenow", str(before + 24))
    bench.keyboard.press("Home")
    expect(grip).to_have_attribute("aria-valuenow", grip.get_attribute("aria-valuemin") or "")
    at = grip.bounding_box()
    assert at
    bench.mouse.move(at["x"] + 5, at["y"] + 200)
    bench.mouse.down()
    bench.mouse.move(at["x"] + 105, at["y"] + 200, steps=4)
    bench.mouse.up()
    dragged = int(grip.get_attribute("aria-valuenow") or 0)
    assert abs(dragged - int(grip.get_attribute("aria-valuemin") or 0) - 100) <= 2
    bench.reload()
    expect(grip).to_have_attribute("aria-valuenow", str(dragged))
    cell(bench, 1).click()
    other = bench.get_by_role("separator", name=re.compile("^Width of the details"))
    other.focus()
    before = int(other.get_attribute("aria-valuenow") or 0)
    bench.keyboard.press("ArrowLeft")
    expect(other).to_have_attribute("aria-valuenow", str(before + 24))


def test_a_group_has_one_button_and_one_menu(bench: Page):
    bench.goto("/keys/")
    head = bench.locator(".group-head")
    expect(head.locator(".btn-primary")).to_have_count(1)
    expect(head.locator(".group-tools > *:visible")).to_have_count(3)
    head.locator("[data-menu-button]").click()
    menu = bench.get_by_role("menu", name=re.compile("^Actions for seed"))
    for entry in ("Create", "Edit", "Cloud", "Delete (local)"):
        expect(menu.get_by_role("menuitem", name=re.compile(rf"^{re.escape(entry)}")).first).to_be_visible()


def test_the_bar_of_actions_shows_with_a_selection_only(bench: Page):
    bench.goto("/keys/")
    bar = bench.get_by_role("group", name="Selected keys")
    expect(bar).to_be_hidden()
    top = rows(bench).first.bounding_box()
    rows(bench).nth(2).get_by_role("checkbox").check()
    expect(bar).to_be_visible()
    # Nothing moves below the pointer when it comes.
    assert rows(bench).first.bounding_box() == top
    bar.get_by_role("button", name="Clear selection").click()
    expect(bar).to_be_hidden()


def test_long_names_are_cut_in_the_middle_and_whole_to_the_ear(bench: Page):
    bench.goto("/keys/")
    cell(bench, 1).click()
    thumbprint = inspector(bench).locator("dt:has-text('Thumbprint') + dd .cut-middle")
    head = thumbprint.locator(".cut-head")
    assert head.evaluate("each => each.scrollWidth > each.clientWidth")
    assert len(thumbprint.get_attribute("title") or "") == 64
    end = thumbprint.locator("span").last
    assert end.evaluate("each => each.scrollWidth <= each.offsetWidth + 1")


def test_on_a_phone_the_panes_are_pages_with_a_way_back(bench: Page):
    bench.set_viewport_size({"width": 390, "height": 844})
    bench.goto("/keys/")
    groups, keys = bench.locator("#keys-groups"), bench.locator("#keys-pane")
    expect(groups).to_be_visible()
    expect(keys).to_be_hidden()
    open_group(bench, 5)
    expect(groups).to_be_hidden()
    cell(bench, 0).click()
    expect(inspector(bench).get_by_role("heading", name=re.compile("^seed-00005-"))).to_be_visible()
    bench.get_by_role("button", name="Close the details").click()
    expect(inspector(bench)).to_be_hidden()
    bench.get_by_role("link", name="Key groups", exact=True).click()
    expect(groups).to_be_visible()
    expect(keys).to_be_hidden()


def test_on_a_tablet_the_inspector_is_a_sheet_and_the_menu_of_pages_folds_away(bench: Page):
    bench.set_viewport_size({"width": 1024, "height": 768})
    bench.goto("/keys/")
    pages = bench.get_by_role("navigation", name="Console")
    expect(pages).to_be_hidden()
    bench.get_by_role("link", name="Menu").click()
    expect(pages).to_be_visible()
    bench.keyboard.press("Escape")
    expect(pages).to_be_hidden()
    before = bench.locator("#keys-pane").bounding_box()
    cell(bench, 1).click()
    expect(inspector(bench)).to_be_visible()
    assert bench.locator("#keys-pane").bounding_box() == before
    bench.keyboard.press("Escape")
    expect(inspector(bench)).to_be_hidden()


def test_fourteen_log_rows_are_seen_below_one_bar_of_filters(bench: Page):
    bench.set_viewport_size({"width": 1280, "height": 800})
    bench.goto("/logs/?service=azure")
    assert whole_in_view(bench, "#log-results tbody tr") >= 14
    for element, most in (("#log-results tbody tr", 29), ("#log-filters", 40)):
        box = bench.locator(element).first.bounding_box()
        assert box
        assert box["height"] <= most, element


@pytest.mark.parametrize("width", [360, 768, 1024, 1280, 1920])
def test_a_log_is_never_wider_than_its_page(bench: Page, width: int):
    bench.set_viewport_size({"width": width, "height": 800})
    for log in ("azure", "audit", "device"):
        bench.goto(f"/logs/?service={log}")
        frame = bench.locator("#logs-frame")
        assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") <= 1, log
        expect(bench.locator("#log-results thead").get_by_text("Message")).to_have_count(1)
        assert bench.locator("#log-results tbody .log-message").first.is_visible()


def test_a_click_or_space_shows_a_message_whole(bench: Page):
    bench.set_viewport_size({"width": 1024, "height": 800})
    bench.goto("/logs/?service=azure")
    cut = "row => { const m = row.querySelector('.log-message'); return m.scrollWidth > m.clientWidth }"
    numbers = bench.locator("#log-results tbody tr").evaluate_all(
        f"rows => rows.map({cut}).flatMap((isCut, at) => isCut ? [at] : [])"
    )
    row = bench.locator("#log-results tbody tr").nth(numbers[0])
    row.locator(".log-message").click()
    assert not row.evaluate(cut)
    row.focus()
    bench.keyboard.press(" ")
    assert row.evaluate(cut)


def test_filters_apply_on_change_and_the_panel_of_more_closes_by_escape(bench: Page):
    bench.goto("/logs/?service=azure")
    expect(bench.get_by_role("button", name="Filter", exact=True)).to_be_hidden()
    bench.get_by_label("Severity").select_option("warning")
    bench.wait_for_url("**severity=warning*")
    expect(bench.get_by_role("list", name="Active filters")).to_contain_text("Severity: Warning")
    more = bench.locator("summary", has_text="More filters")
    more.click()
    bench.get_by_label("Actor").focus()
    bench.keyboard.press("Escape")
    expect(more).to_be_focused()
    expect(bench.get_by_label("Actor")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 768, 1280, 1440, 1920])
def test_a_job_is_one_line_and_its_subject_is_cut_by_the_width_there_is(bench: Page, width: int):
    bench.set_viewport_size({"width": width, "height": 800})
    bench.goto("/jobs/")
    frame = bench.locator("#jobs-frame")
    assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") <= 1
    if width < 640:
        return
    for box in frame.locator("tbody tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)"):
        assert box <= 29
    assert whole_in_view(bench, "#job-results tbody tr") >= 12
    expect(frame.locator("thead").get_by_text("Status")).to_be_visible()


def test_the_filters_of_jobs_apply_on_change(bench: Page):
    bench.goto("/jobs/")
    expect(bench.get_by_role("button", name="Filter jobs")).to_be_hidden()
    bench.get_by_label("Status").select_option("failed")
    bench.wait_for_url("**state=failed*")
    expect(bench.locator("#job-results .chip")).to_contain_text("Failed")


def test_the_field_of_key_groups_offers_names_and_takes_the_chosen_one(bench: Page):
    bench.goto("/jobs/?show=all")
    bench.get_by_text("More filters").click()
    field = bench.get_by_label("Key group", exact=True)
    field.press_sequentially("eed-0001")
    names = bench.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(names).to_have_count(10)
    # By keyboard: the second name.
    bench.keyboard.press("ArrowDown")
    bench.keyboard.press("ArrowDown")
    expect(names.nth(1)).to_have_attribute("aria-selected", "true")
    bench.keyboard.press("Enter")
    bench.wait_for_url("**group=seed-00011*")
    expect(names).to_have_count(0)
    expect(bench.locator("#job-results .chip")).to_contain_text("seed-00011")
    # By mouse; Escape closes the list and nothing else.
    field.fill("seed-00020")
    expect(names).to_have_count(1)
    bench.keyboard.press("Escape")
    expect(names).to_have_count(0)
    expect(field).to_be_visible()
    field.fill("seed-0002")
    names.last.click()
    bench.wait_for_url("**group=seed-00029*")
    # A part that several have is refused where one sees it.
    field.fill("seed")
    bench.keyboard.press("Tab")
    expect(bench.get_by_role("alert")).to_contain_text("Several key groups have this in their name")
