"""The permission table (tests/attacks/permission_table.py) names every page, form, menu entry and kind of job."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.spec import registry
from kmes.accounts.rights import Right
from kmes.dashboard.attention.matters import MATTERS as REGISTERED_MATTERS
from kmes.ui.actions import all_actions
from logging_reports.reports.registry import reports_for
from tests.attacks.permission_menus import MATTERS, MENUS
from tests.attacks.permission_table import (
    JOBS,
    MANY,
    NOT_STARTED_FROM_A_PAGE,
    ROWS,
    read_pairs,
)


def views(patterns=None, namespace=""):
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from views(each.url_patterns, f"{each.namespace}:" if each.namespace else namespace)
        elif isinstance(each, URLPattern):
            yield f"{namespace}{each.name}", each.callback


def methods_of(view) -> set[str]:
    """The methods of ``require_http_methods``, wherever it stands among a view's decorators."""
    while view is not None:
        for cell in getattr(view, "__closure__", None) or ():
            if isinstance(cell.cell_contents, list) and set(cell.cell_contents) <= {"GET", "HEAD", "POST"}:
                return set(cell.cell_contents) - {"HEAD"}
        view = getattr(view, "__wrapped__", None)
    return set()


def values_of(view: str, argument: str) -> set[str]:
    return {dict(row.arguments)[argument] for row in ROWS if row.view == view}


def test_every_address_is_in_a_row_and_every_row_is_of_an_address():
    assert {row.view for row in ROWS} == {name for name, _view in views()}


def test_every_method_of_an_address_is_in_a_row():
    told = defaultdict(set)
    for row in ROWS:
        told[row.view] |= set(row.methods)
    answered = {name: methods for name, view in views() if (methods := methods_of(view))}
    assert len(answered) > 150
    assert {name: told[name] for name in answered} == answered


def test_every_right_of_a_row_exists_and_every_right_is_needed_somewhere():
    named = {right for row in ROWS for alternatives in row.need.rights for right in alternatives}
    assert named == {right.value for right in Right}


def test_every_kind_of_job_is_told_with_its_right_and_its_page():
    assert {spec.kind: spec.right for spec in registry if spec.kind != "many_groups"} == JOBS
    assert values_of("jobs:start", "kind") == set(JOBS) - NOT_STARTED_FROM_A_PAGE
    assert set(OPERATIONS) == set(MANY) == values_of("jobs:start_many", "kind")


def test_every_menu_entry_is_told():
    registered = defaultdict(dict)
    for action in all_actions():
        registered[action.target][action.name] = action.right
    assert {target: read_pairs(entries) for target, entries in MENUS.items()} == registered


def test_every_matter_and_every_report_is_told():
    everybody = SimpleNamespace(has_right=lambda _right: True)
    assert read_pairs(MATTERS) == {name: matter.right for name, matter in REGISTERED_MATTERS.items()}
    assert values_of("reports:report", "name") == {report.name for report in reports_for(everybody)}
    told = {right for row in ROWS if row.view == "dashboard:acknowledge" for each in row.need.rights for right in each}
    assert told == {matter.right.value for matter in REGISTERED_MATTERS.values()} | {"console.read"}
