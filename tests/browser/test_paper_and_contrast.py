"""What a page shows on paper, in the system's own colors, and when it is scrolled."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_paper_names_page_user_and_time_and_shows_nothing_to_press(bench: Page):
    bench.goto("/jobs/?per_page=100")
    bench.emulate_media(media="print")
    bench.evaluate("dispatchEvent(new Event('beforeprint'))")
    head = bench.locator(".print-head")
    expect(head).to_be_visible()
    expect(head).to_contain_text("Printed by admin1")
    for hidden in (".skip-link", ".app-header", "#tree", ".stand-in-banner", "#drawer", "main .toolbar"):
        assert bench.locator(hidden).evaluate_all("found => found.every(each => !each.getClientRects().length)"), hidden
    heads = bench.locator("main thead").evaluate_all("found => found.map(each => getComputedStyle(each).display)")
    assert set(heads) == {"table-header-group"}
    printed = bench.evaluate("document.documentElement.style.getPropertyValue('--k-printed')")
    assert "Printed by admin1" in printed
    margins = bench.evaluate(
        """() => [...document.styleSheets].flatMap(sheet => [...sheet.cssRules])
            .filter(rule => rule instanceof CSSPageRule).map(rule => rule.cssText).join(" ")"""
    )
    assert "counter(page)" in margins
    pages = bench.pdf(format="Letter").count(b"/Type /Page\n")
    assert pages >= 2


def test_the_banner_of_the_stand_in_stays_in_sight(bench: Page):
    bench.goto("/jobs/?per_page=100")
    bench.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(bench.locator(".stand-in-banner")).to_be_in_viewport(ratio=1)
    heading, banner = (bench.locator(each).first.bounding_box() for each in ("main thead th", ".stand-in-banner"))
    assert heading
    assert banner
    assert heading["y"] >= banner["y"] + banner["height"] - 1


def test_badges_are_whole_in_the_colors_of_the_system(chromium: Browser, busy_console: Console):
    context = chromium.new_context(
        base_url=busy_console.url, viewport={"width": 1440, "height": 900}, forced_colors="active", locale="en-US"
    )
    page = context.new_page()
    sign_in(page, "admin1")
    for path in ("/keys/", "/jobs/", "/logs/"):
        page.goto(path)
        assert page.locator("td .badge").count() > 5, path
        cut = page.locator("td .badge").evaluate_all(
            """found => found.filter(each => {
                const style = getComputedStyle(each);
                const line = parseFloat(style.outlineWidth) && style.outlineStyle !== "none";
                const own = each.getBoundingClientRect(), cell = each.closest("td").getBoundingClientRect();
                return !line || own.top < cell.top || own.bottom > cell.bottom || own.right > cell.right + 1;
            }).map(each => each.textContent.trim())"""
        )
        assert cut == [], path
    context.close()


PAGES = ("/", "/keys/?q=seed-00007", "/jobs/?show=all", "/logs/?service=azure", "/keys/calendar/", "/preferences/")
OUTSIDE = """() => [...document.querySelectorAll("body *")].filter(each => {
    if (!each.offsetParent || each.closest(".table-frame, .picture-frame, .visually-hidden, .skip-link, .tree-link"))
        return false;
    const at = each.getBoundingClientRect();
    return at.left < -1 || at.right > innerWidth + 1;
}).map(each => each.id || each.className || each.nodeName)"""
MOVING = """() => [...document.querySelectorAll("*")].filter(each => {
    const style = getComputedStyle(each);
    return `${style.transitionDuration},${style.animationDuration}`.split(",").some(time => parseFloat(time) > 0.001);
}).map(each => each.id || each.className || each.nodeName)"""


def test_a_page_from_right_to_left_has_everything_in_sight_in_the_other_order(bench: Page):
    for width in (1440, 360):
        bench.set_viewport_size({"width": width, "height": 900})
        for path in PAGES:
            bench.goto(path)
            bench.evaluate("document.documentElement.dir = 'rtl'")
            assert bench.evaluate(OUTSIDE) == [], (path, width)
    bench.set_viewport_size({"width": 1440, "height": 900})
    bench.goto("/keys/")
    bench.evaluate("document.documentElement.dir = 'rtl'")
    pages, groups, keys = (bench.locator(each).bounding_box() for each in (".app-tree", "#keys-groups", "#keys-pane"))
    assert pages
    assert groups
    assert keys
    assert pages["x"] > groups["x"] > keys["x"]


def test_nothing_moves_for_those_who_want_no_motion(bench: Page):
    bench.goto("/keys/")
    assert bench.evaluate(MOVING)
    bench.emulate_media(reduced_motion="reduce")
    for path in PAGES[:3]:
        bench.goto(path)
        assert bench.evaluate(MOVING) == [], path
