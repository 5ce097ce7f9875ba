"""Many key groups at once, by mouse and by keys: selected in their pane, acted on by one job."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import GROUPS, Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_groups_are_selected_by_ctrl_shift_and_space_and_acted_on_together(bench: Page):
    bench.goto("/keys/")
    shown = bench.locator(".group-head h2").inner_text()
    bar = bench.get_by_role("group", name="Selected key groups")
    lines = bench.locator("#groups-scroll .tree-link")
    expect(bar).to_be_hidden()
    lines.nth(2).click(modifiers=["Control"])
    expect(bar).to_contain_text("1 selected")
    lines.nth(5).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 selected")
    bench.keyboard.press("ArrowDown")
    bench.keyboard.press(" ")
    expect(bar).to_contain_text("5 selected")
    # Selecting shows no other group and leaves the page.
    expect(bench.locator(".group-head h2")).to_have_text(shown)
    # On a line that is not selected the menu acts on that one.
    lines.nth(9).click(button="right")
    expect(bench.get_by_role("menu", name="Actions for seed-00010", exact=True)).to_be_visible()
    bench.keyboard.press("Escape")
    lines.nth(3).click(button="right")
    bench.get_by_role("menu", name="Actions for 5 key groups").get_by_role("menuitem", name="Check Drift…").click()
    dialog = bench.get_by_role("dialog")
    expect(dialog).to_contain_text("5 key groups")
    dialog.get_by_role("button", name="Check drift of 5 key groups").click()
    bench.wait_for_url("**/jobs/*/")
    expect(bench.locator("#job-live")).to_contain_text("of 5 key groups")
    expect(bench.get_by_role("table", name="Key groups of this job")).to_contain_text("seed-00003")


def test_all_groups_that_match_are_selected_by_one_box(bench: Page):
    bench.goto("/keys/")
    bench.locator("#groups-scroll [data-check-row]").first.check()
    bench.get_by_label(f"All {GROUPS} key groups that match").check()
    expect(bench.get_by_role("group", name="Selected key groups")).to_contain_text(f"{GROUPS} selected")
    bench.get_by_role("button", name="Clear selection of key groups").click()
    expect(bench.get_by_role("group", name="Selected key groups")).to_be_hidden()


def test_the_background_below_a_short_list_has_its_menu(bench: Page):
    bench.goto("/cloud-credentials/")
    bench.locator("main").click(button="right", position={"x": 300, "y": 600})
    expect(bench.get_by_role("menu", name="Actions for Cloud Credentials")).to_contain_text("Add")


def test_keys_of_several_groups_and_vaults_have_the_whole_menu_with_icons(bench: Page):
    bench.goto("/keys/?view=vault")
    bench.locator("#groups-scroll .tree-link").filter(has_text="kv-seed-1").click(button="right")
    menu = bench.get_by_role("menu", name="Actions for kv-seed-1", exact=True)
    for entry in ("Add", "Key groups", "Check vault", "Open credential", "Permissions…"):
        expect(menu.get_by_role("menuitem", name=entry, exact=True).locator("svg").first).to_be_visible()
    bench.keyboard.press("Escape")
    bench.goto("/keys/?q=seed-0001&sort=name")
    for name in ("seed-00010-00001", "seed-00011-00001"):
        bench.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    # By keyboard, as the Menu key does.
    row = bench.get_by_role("row").filter(has=bench.get_by_role("link", name="seed-00011-00001", exact=True))
    row.focus()
    bench.keyboard.press("Shift+F10")
    menu = bench.get_by_role("menu", name="Actions for 2 keys")
    for entry in ("Cloud", "Key groups", "Copy key identifiers", "Delete 2 keys (local)…"):
        expect(menu.get_by_role("menuitem", name=entry, exact=True).locator("svg").first).to_be_visible()
    expect(menu.get_by_role("menuitem", name="Cloud")).to_be_focused()
    bench.keyboard.press("ArrowRight")
    bench.keyboard.type("disable")
    bench.keyboard.press("Enter")
    dialog = bench.get_by_role("dialog")
    expect(dialog).to_contain_text("Disable 2 keys")
    for told in ("seed-00010", "seed-00011"):
        expect(dialog.get_by_role("term").filter(has_text=told)).to_be_visible()
    expect(dialog.get_by_label("Type “2 keys” to confirm")).to_be_visible()


def test_days_of_the_calendar_are_chosen_by_shift_and_their_rotations_moved(bench: Page, busy_console: Console):
    with closing(sqlite3.connect(busy_console.state_dir / "database" / "db.sqlite3", timeout=30)) as database, database:
        database.execute(
            "UPDATE keygroups_keygroup SET rotate = 1, rotation_anchor_at = datetime('now', '-80 days'),"
            " next_due_at = datetime('now', '+10 days') WHERE name IN ('seed-00020', 'seed-00021')"
        )
    bench.goto("/keys/calendar/")
    day = datetime.now(UTC) + timedelta(days=10)
    due = bench.locator(".picture-calendar").get_by_role("link", name=f"{day:%Y-%m-%d}")
    due.focus()
    bench.keyboard.press("Enter")
    bench.wait_for_url("**day=*")
    # Two days on, by keyboard: a day is a step down, and a week to the right.
    due.focus()
    bench.keyboard.press("ArrowDown")
    bench.keyboard.press("ArrowDown")
    bench.keyboard.press("Shift+Enter")
    bench.wait_for_url("**until=*")
    expect(bench.get_by_role("heading", level=2)).to_contain_text(f"{day + timedelta(days=2):%Y-%m-%d}")
    bench.get_by_label("All 2 key groups that match").check()
    bench.get_by_role("button", name="Reschedule").click()
    dialog = bench.get_by_role("dialog")
    dialog.get_by_label("New day (UTC)").fill(f"{day + timedelta(days=30):%Y-%m-%d}")
    dialog.get_by_role("button", name="Reschedule").click()
    expect(bench.get_by_text("Rotations of 2 key groups moved to")).to_be_visible()
    expect(bench.get_by_role("table", name="Rotations due")).to_contain_text("seed-00021")
