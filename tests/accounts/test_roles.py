"""The Roles pages: add, copy, edit, delete; what each change means at once; and what the log says of it."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.approvals.role_uses import find_uses
from jobs.choices import JobState
from jobs.models import Job
from kmes.accounts.models import CustomRole, User
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.accounts.roles.services import RoleValues, create_role, delete_role, update_role
from kmes.accounts.second_factor.services import is_required
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.right_names import RIGHT_NAMES
from logging_reports.models import LogEntry
from tests.people import FRAGMENT, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


def typed(role=None, **changes):
    """What the form sends."""
    values = {"name": "Rotators", "description": "Rotate at night", "rights": ["key.rotate", "log.read"]}
    return {**values, "lock_version": role.lock_version if role else "", **changes}


def values(*rights, name="Rotators", needs_second_factor=False):
    return RoleValues(name, "", frozenset(map(Right, rights)), needs_second_factor)


@pytest.fixture
def boss(people):
    return Actor.from_user(people["admin"])


@pytest.fixture
def role(boss):
    return create_role(values=values("key.rotate", "log.read"), actor=boss)


@pytest.fixture
def rita(role):
    """Somebody who has the role."""
    return get_user_model().objects.create_user("rita", role=role.code)


def last_row() -> LogEntry:
    return LogEntry.objects.filter(service="audit").order_by("-sequence")[0]


def edit(role) -> str:
    return f"/roles/{role.code}/edit/"


# --- Adding ----------------------------------------------------------------------------------
def test_a_role_is_added_from_nothing_and_opens_just_its_pages(pages, people):
    made = pages.post("/roles/add/", typed())
    role = CustomRole.objects.get()
    assert made["Location"] == f"/roles/{role.code}/"
    assert role.held == {Right.CONSOLE_READ, Right.KEY_ROTATE, Right.LOG_READ}
    row = last_row()
    assert (row.event, row.severity, row.actor_name) == ("role.created", "warning", "the-admin")
    assert "with the rights: Console:Read, System Logs:Read, Keys:Rotate" in row.message
    browser = Client()
    browser.force_login(User.objects.create_user("rita", role=role.code))
    assert [browser.get(path).status_code for path in ("/", "/logs/", "/users/add/", "/logs/exports/")] == [
        *(200, 200),
        *(403, 403),
    ]
    assert "Rotators" in body(browser.get("/"))


def test_the_buttons_of_a_page_do_not_lead_to_the_page_itself(pages):
    page = body(pages.get("/roles/custodian/"))
    buttons = page[page.index('<div class="toolbar"') : page.index("</dl>")]
    assert "template=custodian" in buttons
    assert 'href="/roles/custodian/"' not in buttons


def test_a_copy_of_a_template_has_its_rights_and_the_template_stays(pages):
    page = body(pages.get("/roles/add/?template=custodian"))
    ticked = set(re.findall(r'name="rights" value="([^"]+)"[^>]*checked', page))
    assert ticked == ROLE_RIGHTS[Role.CUSTODIAN]
    pages.post("/roles/add/?template=custodian", typed(rights=sorted(ticked)))
    assert CustomRole.objects.get().held == ROLE_RIGHTS[Role.CUSTODIAN]
    assert "copied from Key custodian" in last_row().message
    for act in ("edit", "delete"):
        assert "Built in" in body(pages.get(f"/roles/custodian/{act}/"))
    assert pages.post("/roles/custodian/edit/", typed()).status_code == 422
    assert pages.post("/roles/custodian/delete/").status_code == 409


@pytest.mark.parametrize(
    "name", ["administrator", "ADMIN", "Key Custodian", "rotators", "  Rotators ", "\uff32otators"]
)
def test_a_name_that_could_be_taken_for_another_role_is_refused(pages, role, name):
    answer = pages.post("/roles/add/", typed(name=name))
    assert answer.status_code == 422
    assert "a role of this name already" in body(answer)


@pytest.mark.parametrize(
    ("name", "why"),
    [("Rota\u202etors", "invisible"), ("\u0410dministrator", "alphabets"), ("Key \u0441ustodian", "alphabets")],
)
def test_a_name_that_cannot_be_read_or_told_apart_is_refused(boss, name, why):
    with pytest.raises(InputError, match=why):
        create_role(values=values(name=name), actor=boss)


# --- Changing --------------------------------------------------------------------------------
def test_a_change_counts_at_once_in_a_session_that_is_open(pages, role, rita):
    browser = Client()
    browser.force_login(rita)
    assert browser.get("/logs/").status_code == 200
    assert pages.post(edit(role), typed(role, name="Night shift", rights=["key.rotate"])).status_code == 302
    assert browser.get("/logs/").status_code == 403
    assert "Night shift" in body(browser.get("/"))
    row = last_row() if last_row().event == "role.updated" else LogEntry.objects.get(event="role.updated")
    assert row.severity == "warning"
    assert "name from “Rotators” to “Night shift”" in row.message
    assert (
        "rights from Console:Read, System Logs:Read, Keys:Rotate to Console:Read, Keys:Rotate; lost System Logs:Read"
        in row.message
    )
    assert "1 user has it" in row.message
    assert row.data["before"]["rights"] == ["console.read", "key.rotate", "log.read"]


def test_what_was_queued_with_a_right_that_the_role_loses_is_cancelled_and_the_rest_goes_on(boss, role, rita):
    asked = {"actor_name": "rita", "trigger": "user", "run_after": now(), "requested_by": rita, "subject": "x"}
    rotate = Job.objects.create(kind="rotate", **asked)
    many = Job.objects.create(kind="many_groups", params={"each": "rotate", "group_ids": []}, **asked)
    push = Job.objects.create(kind="many_groups", params={"each": "synchronize", "group_ids": []}, **asked)
    update_role(code=role.code, values=values("key.push"), lock_version=1, actor=boss)
    states = {job.pk: job.state for job in Job.objects.all()}
    assert [states[job.pk] for job in (rotate, many, push)] == [
        *(JobState.CANCELLED, JobState.CANCELLED),
        JobState.QUEUED,
    ]
    assert "has lost the right" in LogEntry.objects.filter(event="job.cancelled")[0].message


def test_two_editors_do_not_overwrite_each_other(pages, role):
    sent = typed(role)
    assert pages.post(edit(role), {**sent, "name": "First"}).status_code == 302
    answer = pages.post(edit(role), {**sent, "name": "Second"})
    assert answer.status_code == 422
    assert "Somebody else changed the role" in body(answer)
    assert CustomRole.objects.get().name == "First"


def test_saving_the_same_again_changes_and_logs_nothing(boss, role):
    count = LogEntry.objects.count()
    update_role(code=role.code, values=values("key.rotate", "log.read"), lock_version=1, actor=boss)
    assert (LogEntry.objects.count(), CustomRole.objects.get().lock_version) == (count, 1)


# --- Deleting --------------------------------------------------------------------------------
def test_a_role_is_deleted_only_when_nobody_has_it_not_even_somebody_deactivated(pages, role, rita):
    User.objects.filter(pk=rita.pk).update(is_active=False)
    url = f"/roles/{role.code}/delete/"
    assert "Users have it" in body(pages.get(url, **FRAGMENT))
    assert pages.post(url).status_code == 409
    User.objects.filter(pk=rita.pk).update(role="auditor")
    assert pages.post(url)["Location"] == "/roles/"
    assert not CustomRole.objects.exists()
    row = last_row()
    assert (row.event, row.severity) == ("role.deleted", "warning")
    assert "it had the rights: Console:Read, System Logs:Read, Keys:Rotate" in row.message


def test_a_role_that_a_policy_names_or_is_about_to_name_stays(boss, role):
    asked = {"actor_name": "x", "trigger": "user", "run_after": now(), "subject": "x"}
    params = {"action": "destroy", "after": {"role": role.code}}
    job = Job.objects.create(kind="set_approval_policy", params=params, **asked)
    with pytest.raises(ConflictError, match="approval policy of “Destroy key material here” names it"):
        delete_role(code=role.code, actor=boss)
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED)
    assert find_uses(role.code) == []
    delete_role(code=role.code, actor=boss)


def test_a_role_that_is_added_again_under_the_same_name_is_another_one(boss, role, rita):
    User.objects.filter(pk=rita.pk).update(role="auditor")
    delete_role(code=role.code, actor=boss)
    assert create_role(values=values(), actor=boss).code != role.code


# --- Second factor ---------------------------------------------------------------------------
def test_a_copy_of_a_role_that_must_have_a_second_factor_must_have_one_too(boss, settings):
    weak = create_role(values=values("key.push"), actor=boss)
    strong = create_role(values=values("user.manage", name="Clerks"), actor=boss)
    asking = create_role(values=values(name="Approvers", needs_second_factor=True), actor=boss)
    users = [User(username="x", role=role.code) for role in (weak, strong, asking)]
    assert [is_required(user) for user in users] == [False, False, True]
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    assert [is_required(user) for user in users] == [False, True, True]
    settings.KMES_SECOND_FACTOR_ROLES = list(Role.values)
    assert all(map(is_required, users))


# --- Pages -----------------------------------------------------------------------------------
def test_the_page_of_a_role_says_who_has_it_and_each_right_by_its_name(pages, role, rita):
    page = body(pages.get(f"/roles/{role.code}/"))
    assert "rita" in page
    assert all(name in page for name in RIGHT_NAMES.values())
    assert set(RIGHT_NAMES) == set(Right)
    assert all(re.fullmatch(r"[A-Z][A-Za-z ]+:[A-Z][a-z]+", name) for name in RIGHT_NAMES.values())


def test_many_roles_cost_the_list_no_further_query(pages, boss, role, rita):
    for number in range(20):
        made = create_role(values=values(name=f"Role {number}"), actor=boss)
        User.objects.create_user(f"user-{number}", role=made.code)
    for path in (
        "/roles/",
        "/users/",
        f"/roles/{role.code}/",
        f"/roles/{role.code}/actions/",
        f"/users/{rita.pk}/edit/",
    ):
        with CaptureQueriesContext(connection) as queries:
            assert pages.get(path).status_code == 200
        assert len(queries) <= 14, (path, len(queries))
