"""Each cell of the permission table: the built-in roles, a role with just what is needed, and one with all but that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client

from jobs.engine.entitlement import check_requester
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.rights import ROLE_RIGHTS, Role
from kmes.core.errors import PermissionRefused
from kmes.ui.actions import actions_of
from tests.attacks.permission_menus import MENU_PAGES, MENUS
from tests.attacks.permission_table import JOBS, MANY, ROWS, Need, Row, read_pairs, read_row
from tests.attacks.permission_world import ALL, World
from tests.people import FRAGMENT, body

pytestmark = pytest.mark.django_db
ENTRY = re.compile(r'<(a|button)([^>]*role="menuitem".*?)</\1>', re.DOTALL)
READ = frozenset({"console.read"})
# A page, nothing new, a place to go to, a selection or a form that lacks something, a conflict.
ANSWERS = {200, 204, 302, 400, 409, 422}
PARTS = 4


@pytest.fixture
def world(db):
    return World()


def people_for(world: World, need: Need, roles: Iterable[Role]) -> Iterator[tuple[str, frozenset[str], Client]]:
    """Who tries a request: each of these roles, somebody with just enough, and somebody without each right."""
    for role in roles:
        yield role, frozenset(ROLE_RIGHTS[role]), world.of_role(role)
    enough = frozenset(min(alternatives) for alternatives in need.rights)
    yield "just enough", enough, world.with_rights(enough)
    for alternatives in need.rights:
        yield f"all but {'|'.join(alternatives)}", ALL - alternatives, world.with_rights(ALL - alternatives)


def is_as_told(row: Row, status: int, *, is_allowed: bool) -> bool:
    if is_allowed:
        return status in ANSWERS or (row.is_missing and status == 404)
    return status == 403 or (row.is_hidden and status == 404)


def cells_answered_otherwise(world: World, rows: list[Row], roles: Iterable[Role] = Role) -> list[tuple[str, ...]]:
    return [
        (row.view, str(row.arguments), method, name, str(status))
        for row in rows
        for name, held, browser in people_for(world, row.need, roles)
        for method in row.methods
        if not is_as_told(
            row,
            status := world.send(browser, row, method).status_code,
            is_allowed=row.need.is_met_by(held),
        )
    ]


@pytest.mark.parametrize("part", range(PARTS))
def test_each_page_and_form_answers_each_role_as_the_table_says(world, part):
    rows = [row for row in ROWS if row.need.rights]
    # Which rights a role has is no matter of the database. PostgreSQL is to allow each request that the console allows,
    # whose statements are most for an administrator.
    roles = Role if connection.vendor == "sqlite" else [Role.ADMIN]
    assert cells_answered_otherwise(world, rows[part::PARTS], roles) == []


def test_a_cell_that_answers_otherwise_is_found(world):
    lax = read_row("jobs:cancel GET console.read code={job}")
    strict = read_row("jobs:list GET user.manage")
    found = {
        (view, name, status)
        for view, _arguments, _method, name, status in cells_answered_otherwise(world, [lax, strict])
    }
    assert ("jobs:cancel", "auditor", "403") in found
    assert ("jobs:list", "auditor", "200") in found


def test_each_menu_shows_each_role_what_it_may_and_nothing_else(world):
    for target, line in MENU_PAGES.items():
        row, needs = read_row(line), read_pairs(MENUS[target])
        assert {action.name: action.right for action in actions_of(target)} == needs
        everything, free = entries(world, row, ALL), entries(world, row, frozenset())
        of_right = {
            right: entries(world, row, frozenset({right})) - free for right in sorted(set(needs.values()) - {""})
        }
        assert sum(map(len, of_right.values())) + len(free) == len(everything), target
        assert free.union(*of_right.values()) == everything, target
        for right, shown in of_right.items():
            assert entries(world, row, ALL - {right}) == everything - shown, (target, right)


def entries(world: World, row: Row, rights: frozenset[str]) -> set[str]:
    """The entries of a menu, as somebody with these rights is shown them."""
    answer = world.send(world.with_rights(READ | rights), row, row.methods[0], **FRAGMENT)
    assert answer.status_code == 200
    return {entry for _tag, entry in ENTRY.findall(body(answer)) if "aria-haspopup" not in entry}


def test_a_worker_takes_a_job_up_for_those_alone_who_may_request_it(world):
    assert {kind: registry[kind].right for kind in JOBS} == JOBS
    jobs = [(Job(kind=kind, trigger="user"), right) for kind, right in JOBS.items()]
    jobs += [(Job(kind="many_groups", trigger="user", params={"each": kind}), JOBS[kind]) for kind in MANY]
    for job, right in jobs:
        for held in (frozenset({right}), ALL - {right}, *(frozenset(ROLE_RIGHTS[role]) for role in Role)):
            job.requested_by = world.user_with(held)
            assert may_run(job) == (right in held), (job.work_kind, held)


def may_run(job: Job) -> bool:
    try:
        check_requester(SimpleNamespace(job=job, spec=registry[job.kind]))
    except PermissionRefused:
        return False
    return True


def test_the_role_that_a_request_names_is_asked_to_decide_and_no_other(world):
    row = read_row("approvals:detail GET console.read code={awaiting}")
    for role in Role:
        page = body(world.send(world.of_role(role), row, "GET"))
        assert ("Users with the role" not in page) == (role == Role.ADMIN), role
