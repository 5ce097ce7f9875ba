"""Each cell of the permission table by scope: a role that covers the object, one that lacks the right, one for elsewhere.

Everywhere is tried by ``test_permission_matrix``. One user is given one role after the other.
"""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.spec import Scope, registry
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from kmes.accounts.models import CustomRole, RoleAssignment
from kmes.accounts.rights import SCOPED_RIGHTS
from kmes.accounts.scopes import Place, ScopeKind, places_of
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import PermissionRefused
from kmes.core.ids import new_uuid
from tests.attacks.permission_menus import MENU_PAGES
from tests.attacks.permission_table import JOBS, LEAVING_OUT, ROWS, WITHOUT_OBJECT, Row, located_in, read_row
from tests.attacks.permission_world import World
from tests.attacks.test_permission_matrix import ANSWERS, ENTRY, may_run
from tests.people import FRAGMENT, body

pytestmark = pytest.mark.django_db
READ = frozenset({"console.read"})
SCOPED = frozenset(right.value for right in SCOPED_RIGHTS)
ELSEWHERE = {
    ScopeKind.VAULT: "https://elsewhere.vault.azure.net",
    ScopeKind.GROUP: str(new_uuid()),
    ScopeKind.TAG: "a=b",
}


class ScopedUser:
    """A user who may read everywhere, and has one other role for a scope at a time."""

    def __init__(self) -> None:
        CustomRole.objects.create(
            code="reader", name="reader", rights=["console.read"], needs_second_factor=False, changed_at=now()
        )
        self.user = get_user_model().objects.create_user("scoped", role="reader")
        self.browser = Client(raise_request_exception=False)
        self.browser.force_login(self.user)

    def gets(self, rights: frozenset[str], scopes: list[tuple[str, str]]) -> None:
        """Replace the role for a scope by one with these rights, for these scopes."""
        code = f"role-{abs(hash(rights)) % 10**10}"
        CustomRole.objects.get_or_create(
            code=code,
            defaults={"name": code, "rights": sorted(rights), "needs_second_factor": False, "changed_at": now()},
        )
        RoleAssignment.objects.filter(user=self.user).delete()
        RoleAssignment.objects.bulk_create(
            RoleAssignment(
                user=self.user, role=code, scope_kind=kind, scope_value=value, given_at=now(), given_by="test"
            )
            for kind, value in scopes
        )


@pytest.fixture
def world(db):
    made = World()
    KeyGroup.objects.update(tags={"scope": "own"})
    return made


@pytest.fixture
def scoped(world):
    return ScopedUser()


def places(world: World, names: list[str]) -> tuple[Place, ...]:
    """Where the rows are that a line names."""
    find = {
        **dict.fromkeys(("group", "observed_group", "due_group"), lambda pk: KeyGroup.objects.get(pk=pk)),
        "key": lambda pk: Key.objects.get(pk=pk),
        "version": lambda pk: CloudVersion.objects.get(pk=pk),
        "observation": lambda pk: Observation.objects.get(pk=pk),
        "vault": lambda pk: KeyGroup.objects.filter(vault=pk)[0].vault,
        **dict.fromkeys(("job", "many_job"), lambda code: Job.objects.get(code=code)),
        "job_id": lambda pk: Job.objects.get(pk=pk),
    }
    return places_of(find[name](world.values[name]) for name in names)


def covering(found: tuple[Place, ...], kind: str) -> list[tuple[str, str]]:
    """The scopes of a kind that cover these places; vaults where one of them is no key group."""
    if kind == ScopeKind.VAULT or not all(place.group for place in found):
        return sorted({(ScopeKind.VAULT, place.vault) for place in found})
    if kind == ScopeKind.GROUP:
        return sorted({(ScopeKind.GROUP, place.group) for place in found})
    return [(ScopeKind.TAG, "scope=own")]


def needed_of(row: Row) -> frozenset[str]:
    return frozenset(min(alternatives) for alternatives in row.need.rights) & SCOPED


def rows_with_a_place() -> list[Row]:
    return [row for row in ROWS if needed_of(row) and located_in(row) and row.need.is_met_by(READ | SCOPED)]


def answers_otherwise(world: World, scoped: ScopedUser, row: Row, number: int) -> list[tuple[str, ...]]:
    """The cells of a line, for a kind of scope by its number, that answer otherwise than the table says."""
    needed, kind = needed_of(row), list(ScopeKind)[number % 3]
    found = places(world, located_in(row))
    alternatives = frozenset[str]().union(*row.need.rights)
    tries = [
        ("covered", needed, covering(found, kind), True),
        ("covered, all but that", SCOPED - alternatives, covering(found, kind), False),
        ("elsewhere", SCOPED, [(kind, ELSEWHERE[kind])], False),
    ]
    wrong = []
    for name, rights, scopes, is_allowed in tries:
        scoped.gets(rights, scopes)
        for method in row.methods:
            answer = world.send(scoped.browser, row, method)
            if is_allowed:
                is_right = answer.status_code in ANSWERS or (row.is_missing and answer.status_code == 404)
            elif name == "elsewhere" and row.view in LEAVING_OUT:
                is_right = answer.status_code in {200, 422} and "Outside of the scope" in body(answer)
            else:
                is_right = answer.status_code == 403
            if not is_right:
                wrong.append((row.view, str(row.arguments), method, name, kind, str(answer.status_code)))
    return wrong


def test_each_page_and_form_about_an_object_answers_each_scope_as_the_table_says(world, scoped):
    rows = rows_with_a_place()
    assert len(rows) > 30
    assert [cell for number, row in enumerate(rows) for cell in answers_otherwise(world, scoped, row, number)] == []


def test_a_role_for_a_scope_opens_nothing_that_has_no_object(world, scoped):
    scoped.gets(SCOPED, covering(places(world, ["group"]), ScopeKind.GROUP))
    opened = {
        row.view
        for row in ROWS
        if needed_of(row) and not located_in(row)
        for method in row.methods
        if world.send(scoped.browser, row, method).status_code != 403
    }
    assert opened == WITHOUT_OBJECT


def test_a_menu_of_an_object_shows_what_the_scope_allows(world, scoped):
    for target, name in (("group", "group"), ("key", "key"), ("job", "job"), ("vault", "vault")):
        row = read_row(MENU_PAGES[target])

        def entries(browser, row=row):
            found = ENTRY.findall(body(world.send(browser, row, "GET", **FRAGMENT)))
            return {entry for _tag, entry in found if "aria-haspopup" not in entry}

        scoped.gets(SCOPED, covering(places(world, [name]), ScopeKind.TAG))
        assert entries(scoped.browser) == entries(world.with_rights(READ | SCOPED)), target
        scoped.gets(SCOPED, [(ScopeKind.TAG, "a=b")])
        assert entries(scoped.browser) == entries(world.with_rights(READ)), target


def test_each_kind_of_job_is_made_and_run_for_those_alone_whose_scope_covers_it(world, scoped):
    group = KeyGroup.objects.get(pk=world.values["group"])
    for kind, right in JOBS.items():
        job = Job(kind=kind, trigger="user", group=group, requested_by=scoped.user)
        for scopes, is_covered in (
            (covering(group.places, ScopeKind.VAULT), True),
            (covering(group.places, ScopeKind.TAG), True),
            ([(ScopeKind.GROUP, ELSEWHERE[ScopeKind.GROUP])], False),
        ):
            scoped.gets(frozenset({right}), scopes)
            is_allowed = is_covered and right in SCOPED
            assert may_run(job) == is_allowed, (kind, scopes)
            if not is_allowed and registry[kind].scope is not Scope.NO_KEY:
                with pytest.raises(PermissionRefused):
                    create_job(NewJob(kind, "x", group=group), actor=Actor.from_user(scoped.user), idempotency_key="")
