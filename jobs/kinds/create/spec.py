"""Create: new keys in the HSM. Nothing is sent to the vault."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import FormInput, NamesForm, PatternForm
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning.menus import CREATE as CREATE_MENU
from jobs.planning.menus import nothing_blocks, on_group
from jobs.planning.requests import group_of, require_device
from jobs.spec import Confirmation, Given, JobSpec, MenuEntry, Scope, Step, Wording
from keygroups.fields import clean_key_name
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import InputError

KIND = "create"


def request_create_keys(
    *, group: KeyGroup, names: list[str], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for new keys in the HSM.

    Raises:
        InputError: a name is empty, too long, or taken in the group (field "name").

    """
    check(actor, Right.KEY_CREATE, group)
    require_device()
    clean = [clean_key_name(name) for name in names]
    taken = {name.lower() for name in group.keys.values_list("name", flat=True)}
    for name in clean:
        if name.lower() in taken:
            raise InputError(
                _("The group has a key “%(name)s” already.") % {"name": name}, _("Choose another name."), field="name"
            )
    if len({name.lower() for name in clean}) != len(clean):
        raise InputError(_("Each name can be used only once."), field="name")
    new = NewJob(KIND, ", ".join(clean), group=group, params={"names": clean}, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    return Plan(
        title=_("Create random key in %(group)s") % {"group": group.name},
        button=_("OK"),
        back=group.get_absolute_url(),
        facts=[(_("Key group"), group.name), (_("Key type"), group.key_spec)],
        effects=[
            _("The key is made in the HSM. Nothing is sent to the vault until you synchronize it."),
        ],
    )


def _form(given: FormInput) -> NamesForm | PatternForm:
    if given.several == "pattern":
        return PatternForm(given.data)
    return NamesForm(given.data, several=bool(given.several))


def _start(target: StartTarget, form: Any, given: Given) -> Job:
    return request_create_keys(group=target.the_group, names=form.names(), **given)


def _retry(job: Job, given: Given) -> Job:
    group = group_of(job)
    names = [name for name in job.params["names"] if not group.keys.filter(name__iexact=name).exists()]
    return request_create_keys(group=group, names=names, retry_of=job, **given)


def _left_by_cancel() -> str:
    return _("Keys made by then stay in the group.")


CREATE = JobSpec(
    kind=KIND,
    title=gettext_lazy("Create HSM Protected key(s)"),
    right=Right.KEY_CREATE,
    wording=Wording("Creating", "Created", "create"),
    counts_keys=True,
    steps=(Step("generate_key", gettext_lazy("Generate key in the HSM")),),
    scope=Scope.KEYS,
    holds_azure_key=False,
    blocks_group=False,
    pushes_keys=False,
    failpoints=KIND,
    menu=(
        on_group(KIND, gettext_lazy("Random"), 10, nothing_blocks, submenu=CREATE_MENU),
        MenuEntry(
            target="group",
            name="create_pattern",
            label=gettext_lazy("Keys by pattern"),
            order=11,
            query=lambda group: {"group": group.pk, "several": "pattern"},
            why_not=nothing_blocks,
            submenu=CREATE_MENU,
        ),
    ),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=_form, start=_start),
    left_by_cancel=_left_by_cancel,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.create.runner.RUNNER",
)
