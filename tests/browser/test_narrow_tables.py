"""Tables on a tablet: the columns that tell least give way, and nothing is cut or stacked word by word."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
LISTS = (
    *("/jobs/?show=all", "/cloud-credentials/", "/users/", "/roles/", "/logs/?service=audit", "/logs/checkpoints/"),
    *("/reports/key-age/", "/reports/rotation/", "/reports/activity/", "/approvals/policies/", "/profile/sessions/"),
)
WIDER = """() => [...document.querySelectorAll(".table-frame")]
  .filter(frame => frame.offsetParent && frame.firstElementChild.scrollWidth > frame.clientWidth + 1)
  .map(frame => frame.id)"""
HEADINGS = """() => [...document.querySelectorAll(".table-frame th")]
  .filter(each => each.offsetWidth).map(each => each.textContent.trim()).filter(Boolean)"""


def test_on_a_tablet_every_list_fits_and_keeps_the_columns_that_tell_most(bench: Page):
    found = {}
    for width in (768, 1024):
        bench.set_viewport_size({"width": width, "height": 900})
        for address in LISTS:
            answer = bench.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            if wider := bench.evaluate(WIDER):
                found[address, width] = wider
    assert found == {}
    bench.set_viewport_size({"width": 768, "height": 900})
    for address, most in {
        "/jobs/?show=all": {"ID", "Name", "Subject", "Status"},
        "/cloud-credentials/": {"Name", "Sign-in", "Last test"},
        "/users/": {"User name", "Role", "Status"},
    }.items():
        bench.goto(address)
        assert most <= set(bench.evaluate(HEADINGS)), address
