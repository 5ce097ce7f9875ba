"""The shell in a real browser: palette, shortcuts, task drawer, tables, and a server that goes away."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Locator, Page, Route, expect

from tests.browser import flows
from tests.browser.conftest import Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def chosen_back(admin: Page) -> Iterator[None]:
    """Take back what the test chooses for admin1."""
    yield
    admin.goto("/preferences/")
    admin.get_by_label("Colors").last.select_option("system")
    admin.get_by_label("Row density").select_option("normal")
    admin.get_by_label("Single-letter shortcuts").check()
    admin.get_by_role("button", name="Save preferences").click()
    expect(admin.get_by_text("Your preferences are saved.")).to_be_visible()


@pytest.fixture(scope="module")
def group(chromium, console: Console) -> str:
    """A key group with one key, by name."""
    context = chromium.new_context(base_url=console.url, viewport={"width": 1280, "height": 860}, locale="en-US")
    page = context.new_page()
    sign_in(page, "admin1")
    credential, name = flows.fresh("shell-cred"), flows.fresh("palette")
    flows.add_credential(page, credential)
    flows.add_group(page, name, credential, console.stand_in.vault_url("kv-premium"))
    flows.create_key(page, name, f"{name}-key")
    context.close()
    return name


def palette(page: Page):
    return page.get_by_role("combobox", name=re.compile("^Find a page"))


def option(page: Page, name: str):
    return page.get_by_role("option", name=re.compile(f"^{re.escape(name)}"))


def test_by_keyboard_alone_the_palette_finds_a_key_and_starts_a_job_on_it(admin: Page, group: str):
    admin.goto("/jobs/")
    admin.keyboard.press("Control+k")
    expect(palette(admin)).to_be_focused()
    admin.keyboard.type(f"synchronize {group}-key")
    chosen = option(admin, "Cloud › Synchronize")
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(palette(admin)).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "-")
    admin.keyboard.press("Enter")
    expect(palette(admin)).to_be_hidden()
    expect(admin.locator("#palette-input:is([aria-controls], [aria-activedescendant])")).to_have_count(0)
    expect(flows.dialog(admin).get_by_role("heading", name="What will happen")).to_be_visible()
    flows.start(admin)
    flows.await_job(admin)


def test_the_palette_moves_opens_menus_and_gives_the_focus_back(admin: Page, group: str):
    admin.goto("/jobs/")
    filters = admin.locator("summary", has_text="Filter")
    filters.focus()
    admin.keyboard.press("/")
    admin.keyboard.type(f"{group}-key")
    expect(option(admin, f"{group}-key")).to_have_attribute("aria-selected", "true")
    admin.keyboard.press("ArrowRight")
    expect(admin.get_by_role("menuitem").first).to_be_focused()
    admin.keyboard.press("Escape")
    expect(palette(admin)).to_be_focused()
    admin.keyboard.press("ArrowDown")
    expect(option(admin, f"{group}-key")).to_have_attribute("aria-selected", "false")
    admin.keyboard.press("Escape")
    expect(palette(admin)).to_be_hidden()
    expect(filters).to_be_focused()


def test_enter_pressed_early_opens_the_answer_to_what_was_typed_and_no_earlier_answer(admin: Page, group: str):
    admin.clock.install()
    admin.goto("/jobs/")
    empty, questions = re.compile(r"/search/\?q=$"), list[Route]()
    admin.route(empty, lambda route: questions.append(route))  # noqa: PLW0108 - its arity is asked for
    admin.keyboard.press("Control+k")
    expect(palette(admin)).to_be_focused()
    while not questions:
        admin.wait_for_timeout(50)
    # The page's time stands still, so that the answer to the empty question comes between the typing
    # and the next question however fast or slow the machine is.
    admin.clock.pause_at(time.time() + 60)
    palette(admin).fill(f"{group}-key")
    admin.keyboard.press("Enter")
    answered = questions[0].fetch()
    with contextlib.suppress(Error):
        questions[0].fulfill(response=answered)
    admin.wait_for_timeout(300)
    assert admin.url.endswith("/jobs/")
    admin.clock.resume()
    admin.wait_for_url("**/keys/*-*/")


def test_letters_go_to_pages_but_not_while_one_types_and_not_when_switched_off(admin: Page, chosen_back):
    admin.goto("/")
    admin.keyboard.press("g")
    admin.keyboard.press("j")
    admin.wait_for_url("**/jobs/")
    admin.keyboard.press("?")
    expect(flows.dialog(admin).get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    admin.keyboard.press("g")
    admin.keyboard.press("k")
    admin.keyboard.press("Escape")
    expect(flows.dialog(admin)).to_be_hidden()
    admin.goto("/keys/?q=x")
    admin.get_by_label(re.compile("thumbprint or Azure version")).fill("")
    admin.keyboard.type("gj?t/")
    admin.wait_for_timeout(700)
    assert admin.url.partition("?")[0].endswith("/keys/")
    admin.goto("/preferences/")
    admin.get_by_label("Single-letter shortcuts").uncheck()
    admin.get_by_role("button", name="Save preferences").click()
    expect(admin.get_by_text("Your preferences are saved.")).to_be_visible()
    for key in "gj?t/":
        admin.keyboard.press(key)
    expect(admin.locator("dialog[open]")).to_have_count(0)
    assert admin.url.endswith("/preferences/")
    admin.keyboard.press("Control+k")
    expect(palette(admin)).to_be_focused()


def test_the_drawer_is_sized_by_keys_and_mouse_and_remembered(admin: Page):
    admin.goto("/jobs/")
    grip = admin.get_by_role("separator", name=re.compile("^Height"))
    opener = admin.get_by_role("link", name=re.compile("^Recent tasks"))
    opener.focus()
    admin.keyboard.press("Enter")
    toggle = admin.get_by_role("button", name=re.compile("^Recent tasks"))
    expect(toggle).to_be_focused()
    before = int(grip.get_attribute("aria-valuenow") or 0)
    grip.focus()
    admin.keyboard.press("ArrowUp")
    expect(grip).to_have_attribute("aria-valuenow", str(before + 24))
    admin.keyboard.press("Home")
    expect(grip).to_have_attribute("aria-valuenow", grip.get_attribute("aria-valuemin") or "")
    box = grip.bounding_box()
    assert box
    admin.mouse.move(box["x"] + 200, box["y"] + 4)
    admin.mouse.down()
    admin.mouse.move(box["x"] + 200, box["y"] - 96, steps=4)
    admin.mouse.up()
    dragged = int(grip.get_attribute("aria-valuenow") or 0)
    assert abs(dragged - int(grip.get_attribute("aria-valuemin") or 0) - 100) <= 2
    admin.goto("/")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(grip).to_have_attribute("aria-valuenow", str(dragged))
    grip.focus()
    admin.keyboard.press("Escape")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    expect(toggle).to_be_focused()


def test_a_lost_server_shows_and_heals_by_itself_and_the_badge_counts_what_runs(admin: Page, group: str):
    admin.goto("/jobs/")
    banner = admin.locator("#connection")
    admin.context.set_offline(True)
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("Reconnecting")
    admin.context.set_offline(False)
    expect(banner).to_be_hidden()
    # Another tab starts a job. One of both asks what changed, and tells the other.
    other = admin.context.new_page()
    flows.open_group(other, group)
    flows.menu(other, other.locator(".group-head h2"), "Cloud", "Check Drift")
    code = flows.start(other)
    expect(admin.locator(f"#row-{code}")).to_be_visible()
    other.close()


def test_an_open_page_asks_one_question_and_then_only_for_what_changed(admin: Page, chromium, console: Console):
    with admin.expect_request(re.compile(r"/changes/\?.*hold=1")):
        admin.goto("/keys/")
    admin.wait_for_load_state("load")
    expect(admin.locator("#drawer-jobs")).to_have_attribute("data-running", re.compile(r"\d+"))
    expect(admin.locator("#bell")).to_have_attribute("hx-get", re.compile("seen="))
    asked: list[str] = []
    admin.on("request", lambda request: asked.append(request.url.removeprefix(console.url).partition("?")[0]))
    context = chromium.new_context(base_url=console.url, locale="en-US")
    other = context.new_page()
    sign_in(other, "admin2")
    other.goto("/jobs/start/self_test/")
    other.locator("main form button[type=submit]").first.click()
    other.wait_for_url("**/jobs/*/")
    code = other.url.rstrip("/").rsplit("/", 1)[1]
    expect(admin.locator(f"#task-{code}")).to_contain_text("Succeeded")
    context.close()
    # Signing in and a self-test change no key: the pane is left alone.
    assert "/jobs/drawer/" in asked
    assert set(asked) <= {"/changes/", "/jobs/drawer/", "/notices/bell/"}


def test_what_changed_while_a_part_was_asked_for_is_asked_for_again(admin: Page):
    asked = []

    def answer(route: Route) -> None:
        # Without what it has seen, it is answered whole and replaced.
        asked.append(route.request.url)
        route.continue_(url=re.sub(r"seen=[^&]*", "seen=", route.request.url))

    admin.goto("/jobs/")
    admin.route(re.compile(r"/jobs/\?.*seen="), answer)
    admin.evaluate(
        """async () => {
            const loaded = performance.getEntriesByType("resource").map((each) => each.name);
            const { refresh } = await import(loaded.find((name) => /kmes\\/htmx[.\\w]*\\.js$/.test(name)));
            refresh(["jobs"]);
            refresh(["jobs"]);
        }"""
    )
    admin.wait_for_timeout(1000)
    assert len(asked) >= 2


def test_a_jobs_page_shows_its_end_and_its_calls_without_a_reload(admin: Page, group: str):
    flows.open_group(admin, group)
    flows.menu(admin, admin.locator(".group-head h2"), "Cloud", "Check Drift")
    flows.start(admin)
    admin.evaluate("window.isStill = true")
    flows.await_job(admin)
    expect(admin.locator("#job-sequence:not([hx-get]) .picture-sequence")).to_be_visible()
    expect(admin.locator("#job-next")).to_have_text("See the differences")
    assert admin.evaluate("window.isStill") is True


def test_columns_are_chosen_by_keyboard_and_shown_to_this_user_only(admin: Page, group: str):
    admin.goto("/jobs/?show=all")
    admin.get_by_role("link", name=re.compile("^Columns")).focus()
    admin.keyboard.press("Enter")
    box = flows.dialog(admin)
    move = box.get_by_role("button", name="Move Name down")
    move.focus()
    admin.keyboard.press("Enter")
    expect(move).to_be_focused()
    expect(admin.locator("#announcer")).to_have_text("Name is column 3")
    box.get_by_role("checkbox", name="Progress").uncheck()
    box.get_by_role("button", name="Save columns").click()
    admin.wait_for_url("**/jobs/?show=all")
    headings = admin.locator("#job-results thead th")
    # The boxes and the ID come first.
    expect(headings.nth(2)).to_have_text("Subject")
    expect(headings.nth(3)).to_have_text("Name")
    expect(headings.filter(has_text="Progress")).to_have_count(0)
    admin.get_by_role("link", name=re.compile("^Columns")).click()
    flows.dialog(admin).get_by_role("button", name=re.compile("^Restore")).click()
    expect(headings.filter(has_text="Progress")).to_have_count(1)


def test_a_search_answers_while_one_types_without_filling_the_history(admin: Page, group: str):
    admin.goto("/")
    admin.goto("/jobs/?show=all&sort=kind")
    admin.locator("summary", has_text="Filter").click()
    text = admin.get_by_role("searchbox", name="Text")
    text.press_sequentially("no such job", delay=30)
    expect(admin.get_by_role("heading", name="No job matches")).to_be_visible()
    expect(admin.locator("#announcer")).to_have_text("No job matches")
    assert "q=no+such+job" in admin.url
    assert "sort=kind" in admin.url
    expect(text).to_be_focused()
    text.fill(group)
    expect(admin.locator("#announcer")).to_have_text(re.compile(r"^\d+ jobs?$"))
    admin.go_back()
    admin.wait_for_url(re.compile(r"/$"))


@pytest.mark.parametrize("report", ["key-age", "rotation", "expiring", "activity", "unmanaged"])
def test_a_report_answers_while_one_types_and_keeps_its_address(admin: Page, group: str, report: str):
    admin.goto("/reports/")
    admin.goto(f"/reports/{report}/?sort=-detail&rows=all")
    text = admin.get_by_role("searchbox", name="Text")
    text.press_sequentially("nobody of this name", delay=20)
    expect(admin.get_by_role("heading", name="No row matches")).to_be_visible()
    expect(admin.locator("#announcer")).to_have_text("No row matches")
    expect(text).to_be_focused()
    admin.wait_for_url("**q=nobody+of+this+name*")
    for part in ("sort=-detail", "rows=all"):
        assert part in admin.url
    # What is found comes with its tools, and the address is one that can be pasted.
    if report == "activity":
        text.fill("admin1")
        expect(admin.locator("#announcer")).to_have_text(re.compile(r"^\d+ rows?$"))
        expect(admin.get_by_role("link", name="Export CSV")).to_have_attribute("href", re.compile("q=admin1"))
        admin.reload()
        expect(admin.get_by_role("searchbox", name="Text")).to_have_value("admin1")
    admin.go_back()
    admin.wait_for_url(re.compile(r"/reports/$"))


def top_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box
    return box["y"]


@pytest.mark.parametrize("width", [1920, 800], ids=["in a wide window", "in a narrow one"])
def test_the_headings_of_a_long_table_stay_in_sight(admin: Page, group: str, width: int):
    admin.set_viewport_size({"width": width, "height": 600})
    admin.goto("/logs/?service=audit")
    frame = admin.locator("#log-results .table-frame")
    heading, first = frame.locator("thead th").first, frame.locator("tbody tr").first
    # What doesn't fit is left out, so that the log never scrolls in a frame of its own.
    expect(frame).to_have_class(re.compile("fits"))
    # Headings go with their table where it ends, so it must be longer than the scroll.
    assert top_of(frame.locator("tbody tr").last) > top_of(first) + 300
    first.scroll_into_view_if_needed()
    first.hover()
    before = top_of(first)
    admin.mouse.wheel(0, before + 100)
    for _turn in range(50):
        if top_of(first) < before - 150:
            break
        admin.wait_for_timeout(20)
    assert top_of(first) < before - 150
    header = admin.locator(".app-header").bounding_box()
    assert header
    assert top_of(heading) >= max(header["height"], top_of(frame)) - 1


def test_a_slow_dialog_shows_at_once_that_it_is_on_its_way(admin: Page, group: str):
    admin.goto("/jobs/?show=all")
    held = []
    admin.route("**/preferences/tables/jobs/", lambda route: held.append(route))  # noqa: PLW0108 - its arity is asked for
    admin.get_by_role("link", name=re.compile("^Columns")).click()
    expect(flows.dialog(admin).get_by_text("Loading…")).to_be_attached()
    held[0].continue_()
    expect(flows.dialog(admin).get_by_role("checkbox", name="Subject")).to_be_visible()
    admin.unroute("**/preferences/tables/jobs/")


def test_a_dialog_closed_while_it_is_on_its_way_stays_closed(admin: Page, group: str):
    admin.goto("/jobs/?show=all")
    held = []
    admin.route("**/preferences/tables/jobs/", lambda route: held.append(route))  # noqa: PLW0108 - its arity is asked for
    columns = admin.get_by_role("link", name=re.compile("^Columns"))
    columns.click()
    expect(flows.dialog(admin).get_by_text("Loading…")).to_be_attached()
    admin.keyboard.press("Escape")
    expect(columns).to_be_focused()
    with admin.expect_response("**/preferences/tables/jobs/"):
        held[0].continue_()
    admin.wait_for_timeout(200)
    expect(flows.dialog(admin)).to_be_hidden()
    admin.unroute("**/preferences/tables/jobs/")
    columns.click()
    expect(flows.dialog(admin).get_by_role("checkbox", name="Subject")).to_be_visible()


def test_colours_and_a_folded_section_follow_the_user(admin: Page, chosen_back):
    admin.goto("/jobs/")
    admin.locator("[data-account] summary").click()
    with admin.expect_response("**/preferences/colours/"):
        admin.get_by_role("button", name="Dark").click()
    expect(admin.locator("html")).to_have_attribute("data-bs-theme", "dark")
    with admin.expect_response("**/preferences/tree/"):
        admin.locator("summary", has_text="Key Management").click()
    admin.evaluate("localStorage.clear()")
    admin.reload()
    expect(admin.locator("html")).to_have_attribute("data-bs-theme", "dark")
    keys = admin.get_by_role("navigation", name="Console").get_by_role("link", name="Keys")
    expect(keys).to_be_hidden()
    with admin.expect_response("**/preferences/tree/"):
        admin.locator("summary", has_text="Key Management").click()
    expect(keys).to_be_visible()


def test_on_a_phone_the_drawer_is_a_page(admin: Page, group: str):
    admin.set_viewport_size({"width": 360, "height": 740})
    admin.goto("/keys/")
    expect(admin.locator("#drawer")).to_be_hidden()
    admin.get_by_role("link", name=re.compile("^Recent tasks")).click()
    admin.wait_for_url("**/jobs/drawer/")
    expect(admin.get_by_role("heading", name="Recent tasks")).to_be_visible()
    expect(admin.locator("#drawer-jobs tbody tr").first).to_be_visible()
    admin.goto("/jobs/?show=all")
    card = admin.locator("#job-results tbody tr").first
    row, kebab = card.bounding_box(), card.locator("[data-menu-button]").bounding_box()
    assert row
    assert kebab
    # Above the card's right corner, and wide enough for a finger.
    assert kebab["y"] - row["y"] < 10
    assert row["x"] + row["width"] - kebab["x"] - kebab["width"] < 10
    assert min(kebab["width"], kebab["height"]) >= 44
