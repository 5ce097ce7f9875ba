"""A kind of job of this test's own, from the menu to its end: what a kind needs is its spec and its runner."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest
from django.utils.module_loading import import_string

from jobs.choices import TargetState
from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.apply_change.spec import CHANGES
from jobs.kinds.registry import KINDS
from jobs.models import Job
from jobs.pages import actions
from jobs.pages.failure_help import describe_cancel
from jobs.planning.menus import on_group
from jobs.planning.requests import retry_on_group
from jobs.spec import Confirmation, JobSpec, Scope, Step, Wording, registry
from kmes.accounts.rights import Right, check
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.ui import actions as menus
from tests.jobs.builders import messages, work
from tests.jobs.pages.browsing import FRAGMENT, body, group, make_key, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)


def request_greeting(*, group, actor, idempotency_key="", retry_of=None):
    check(actor, Right.KEY_CREATE)
    new = NewJob("greet", group.name, group=group, keys=list(group.keys.all()), retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def plan_greeting(target):
    return Plan(
        title=f"Greet {target.the_group}",
        button="Greet keys",
        back="/",
        effects=["Each key is greeted."],
        obstacle=why_not_greet(target.the_group),
    )


def why_not_greet(group):
    return "" if group.keys.exists() else "There is nobody to greet"


def run_greeting(run):
    with step(run, "greet"):
        for target in run.pending_targets():
            if target.key.name == "grim":
                raise ConflictError("Key grim does not want to be greeted.", "Leave it alone.")
            with run.write() as tx:
                tx.record_result(target, TargetState.DONE)
                tx.add_message(run.spec.wording.one_done(target.key.name))


RUNNER = Runner(
    run=run_greeting, clean_up=nothing_to_clean_up, abandon_key=nothing_to_abandon, log_failure=no_failure_event
)


GREET = JobSpec(
    kind="greet",
    title="Greet HSM Protected key(s)",
    right=Right.KEY_CREATE,
    wording=Wording("Greeting", "Greeted", "greet"),
    counts_keys=True,
    steps=(Step("greet", "Greet each key"),),
    scope=Scope.KEYS,
    holds_azure_key=False,
    blocks_group=True,
    pushes_keys=False,
    failpoints="greet",
    menu=(on_group("greet", "Greet", 40, why_not_greet),),
    confirmation=Confirmation(
        needs=("group",),
        is_complete=is_enough,
        plan=plan_greeting,
        form=plain_form,
        start=lambda target, _form, given: request_greeting(group=target.the_group, **given),
    ),
    left_by_cancel=lambda: "Keys greeted by then stay greeted.",
    retry=retry_on_group(request_greeting),
    follow=None,
    approval=None,
    runner=f"{__name__}.RUNNER",
)


@pytest.fixture
def greeting(monkeypatch):
    """The kind, known for the length of a test."""
    monkeypatch.setattr(menus, "_registry", dict(menus._registry))
    registry.add(GREET)
    actions.register_all()
    yield GREET
    registry.remove("greet")


def test_it_is_started_from_the_menu_and_runs_to_its_end(pages, group, greeting):
    make_key(group, "ada")
    menu = body(pages.get(f"/keys/groups/{group.pk}/actions/", **FRAGMENT))
    assert "Greet" in menu
    address = f"/jobs/start/greet/?group={group.pk}"
    assert address.replace("&", "&amp;") in menu
    shown = body(pages.get(address))
    assert "Each key is greeted." in shown
    assert "Greet keys" in shown
    assert pages.post(address).status_code == 302
    job = work(Job.objects.get())
    assert job.state == "succeeded"
    assert messages(job) == [
        "Greeting 1 HSM protected key(s)...",
        "Greeted HSM protected key ada",
        "Successfully greeted 1 HSM protected key(s)",
    ]
    page = body(pages.get(job.get_absolute_url()))
    for text in ("Greet HSM Protected key(s)", "Greet each key", "Greeted HSM protected key ada"):
        assert text in page
    assert '<option value="greet">Greet HSM Protected key(s)</option>' in body(pages.get("/jobs/"))


def test_it_says_why_it_can_not_be_started(pages, group, greeting):
    assert "There is nobody to greet" in body(pages.get(f"/keys/groups/{group.pk}/actions/", **FRAGMENT))
    assert "There is nobody to greet" in body(pages.get(f"/jobs/start/greet/?group={group.pk}"))


def test_it_asks_for_its_right(client, people, group, greeting):
    client.force_login(people["auditor"])
    assert client.get(f"/jobs/start/greet/?group={group.pk}").status_code == 403
    assert client.post(f"/jobs/start/greet/?group={group.pk}").status_code == 403
    assert not Job.objects.exists()


def test_it_fails_in_its_own_words_and_is_retried(pages, group, greeting):
    key = make_key(group, "grim")
    pages.post(f"/jobs/start/greet/?group={group.pk}")
    job = work(Job.objects.get())
    assert job.state == "failed"
    assert "Failed to greet HSM protected key grim: Key grim does not want to be greeted. Leave it alone." in messages(
        job
    )
    key.name = "ada"
    key.save(update_fields=["name"])
    assert pages.post(f"/jobs/{job.code}/retry/").status_code == 302
    assert work(job.retries.get()).state == "succeeded"


def test_it_blocks_its_group_and_says_what_a_cancel_leaves(pages, group, greeting):
    make_key(group, "ada")
    pages.post(f"/jobs/start/greet/?group={group.pk}")
    job = Job.objects.get()
    assert f"Another job is running ({job})" in body(pages.get(f"/keys/groups/{group.pk}/actions/", **FRAGMENT))
    Job.objects.update(state="running", started_at=job.created_at, lease_until=job.created_at)
    assert "Keys greeted by then stay greeted." in body(pages.get(f"/jobs/{job.code}/cancel/"))


# --- The specs of the product ----------------------------------------------------------------
def test_no_part_of_a_spec_has_a_default():
    assert not [field.name for field in fields(JobSpec) if field.default is not MISSING]
    assert not [field.name for field in fields(JobSpec) if field.default_factory is not MISSING]


def test_the_registry_holds_each_kind_once_under_its_folders_name():
    kinds = [spec.kind for spec in KINDS]
    assert len(kinds) == len(set(kinds))
    # The kinds of changes that a requester applies differ in their policy only, and share a folder.
    assert {spec.kind for spec in CHANGES} <= set(kinds)
    for spec in (each for each in KINDS if each not in CHANGES):
        assert import_string(f"jobs.kinds.{spec.kind}.spec.KIND") == spec.kind


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: spec.kind)
def test_each_spec_says_what_pages_and_workers_need(spec):
    assert isinstance(import_string(spec.runner), Runner)
    assert spec.step_count >= 1
    assert len(spec.left_by_cancel()) > 20
    assert spec.wording.start(2).startswith(spec.wording.progressive)
    names = [(entry.target, entry.name) for entry in spec.menu]
    assert len(names) == len(set(names))


def test_a_step_that_several_kinds_have_is_called_the_same():
    labels: dict[str, set[str]] = {}
    for spec in KINDS:
        for each in spec.steps:
            labels.setdefault(each.name, set()).add(str(each.label))
    assert not {name: found for name, found in labels.items() if len(found) > 1}


def test_a_kind_that_is_not_known_is_called_by_its_value_and_claims_nothing_of_its_cancel():
    job = Job(kind="of_a_later_release", state="running", started_at=now())
    assert job.title == "of_a_later_release"
    assert describe_cancel(job) == ["The job stops at the next safe point, between two steps."]
