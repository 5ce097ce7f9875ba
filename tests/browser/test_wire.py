"""What a browser receives and does with it: bytes on the wire, and parts that move while a page loads."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Console, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
# The Keys page with all that it loads.
MOST_BYTES = 200 * 1024
# Compressing less saves nothing.
SMALL_BYTES = 1500
RECEIVED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map(each => [new URL(each.name).pathname, each.encodedBodySize, each.decodedBodySize])"""
WATCH_SHIFTS = """window.shifts = [];
new PerformanceObserver(list => list.getEntries().forEach(each => window.shifts.push(
  [each.value, each.sources.map(source => source.node?.id || source.node?.className || source.node?.nodeName)])
)).observe({type: "layout-shift", buffered: true});"""
# Half of what web.dev calls good: columns that do not fit leave a table with the first frame that scripts draw.
MOST_SHIFT = 0.05
PAGES = (
    "/",
    "/keys/",
    "/keys/custody/",
    "/keys/calendar/",
    "/jobs/?show=all",
    "/logs/?service=azure",
    "/users/",
    "/reports/",
)


def test_pages_and_what_they_load_are_compressed_and_the_keys_page_is_light(bench: Page):
    bench.goto("/keys/", wait_until="load")
    received = bench.evaluate(RECEIVED)
    assert sum(encoded for _name, encoded, _decoded in received) <= MOST_BYTES
    plain = [name for name, encoded, decoded in received if decoded > SMALL_BYTES and encoded >= decoded * 0.7]
    assert plain == []
    loaded = {name.rpartition(".")[2] for name, _encoded, decoded in received if decoded > SMALL_BYTES}
    assert {"css", "js", "/keys/"} <= loaded


@pytest.mark.parametrize("width", [1440, 768])
def test_nothing_moves_while_a_page_loads(width: int, chromium: Browser, busy_console: Console):
    context = chromium.new_context(base_url=busy_console.url, viewport={"width": width, "height": 900}, locale="en-US")
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    sign_in(page, "admin1")
    found = {}
    for path in PAGES:
        page.goto(path, wait_until="load")
        page.wait_for_timeout(800)
        shifts = page.evaluate("window.shifts")
        if sum(value for value, _nodes in shifts) > MOST_SHIFT:
            found[path] = shifts
    context.close()
    assert found == {}
