"""The dashboard: its width, what is acknowledged, and what it does not say; and what a report of it counts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser import flows
from tests.browser.conftest import Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def write(console: Console, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(console.state_dir / "database" / "db.sqlite3", timeout=30)) as database, database:
        database.execute(statement, values)


@pytest.fixture
def failing(busy_console: Console) -> Iterator[None]:
    """A connection test that failed."""
    write(busy_console, "UPDATE cloudcreds_cloudcredential SET last_test_ok = 0, last_tested_at = datetime('now')")
    yield
    write(busy_console, "UPDATE cloudcreds_cloudcredential SET last_test_ok = NULL, last_tested_at = NULL")


def test_it_is_filled_to_the_right_and_a_failed_test_brings_no_set_up_back(bench: Page, failing: None):
    bench.goto("/")
    expect(bench.locator("[data-matter]").filter(has_text=re.compile("connection tests? failed"))).to_be_visible()
    expect(bench.locator("#set-up")).to_have_count(0)
    expect(bench.get_by_role("heading", name="Vaults")).to_be_visible()
    edge = bench.locator("main").evaluate("main => main.getBoundingClientRect().right")
    for part in ("#overview", "#outlook", ".dashboard-top"):
        box = bench.locator(part).bounding_box()
        assert box
        assert edge - box["x"] - box["width"] < 48, part


def test_failed_jobs_are_acknowledged_with_a_reason_and_put_back(bench: Page):
    bench.goto("/")
    failed = bench.locator("[data-matter]").filter(has_text="failed in the last 7 days")
    failed.get_by_role("link", name="Acknowledge").click()
    reason = flows.fresh("trial data")
    flows.dialog(bench).get_by_label("Reason").fill(reason)
    flows.dialog(bench).get_by_role("button", name="Acknowledge").click()
    expect(failed).to_have_count(0)
    quiet = bench.get_by_role("list", name="Acknowledged").get_by_role("listitem").filter(has_text=reason)
    expect(quiet).to_contain_text("admin1")
    quiet.get_by_role("button", name="Withdraw").click()
    expect(failed).to_be_visible()


def test_compliance_counts_only_what_can_rotate(bench: Page, busy_console: Console):
    groups = {"seed-00051": "live", "seed-00052": "soft_deleted", "seed-00053": "absent"}
    for name, state in groups.items():
        write(
            busy_console,
            "UPDATE keygroups_keygroup SET rotate = 1, cloud_state = ?, rotation_anchor_at = datetime('now'),"
            " next_due_at = datetime('now', '+300 days') WHERE name = ?",
            state,
            name,
        )
    bench.goto("/reports/rotation/?q=seed-0005")
    expect(bench.locator("main")).to_contain_text("1 of 1 key group with a rotation policy keeps it")
    expect(bench.locator("main")).to_contain_text(
        "Not counted: 1 deleted in the vault, 1 with nothing in the vault yet."
    )
    for name, standing in {
        "seed-00051": "On time",
        "seed-00052": "Deleted in the vault",
        "seed-00053": "Nothing in the vault",
    }.items():
        expect(bench.get_by_role("row").filter(has_text=name)).to_contain_text(standing)
