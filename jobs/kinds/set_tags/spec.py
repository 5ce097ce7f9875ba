"""Set tags: change the tags of a group's current version in the vault. The console's own tags stay."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import FormInput, StartForm
from jobs.confirmation.plan import Plan, vault_facts
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.menus import on_group
from jobs.planning.requests import require_live
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_one_call
from keygroups.choices import VersionState
from keygroups.fields import clean_tags, parse_tags, show_tags
from keygroups.models import CloudVersion, KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import InputError

KIND = "set_tags"


def request_set_tags(
    *, version: CloudVersion, tags: dict[str, str], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for the tags that people set on a version to be replaced.

    Raises:
        ConflictError: the vault holds no such version.
        InputError: there are too many tags, or one is too long or reserved (field "tags").

    """
    check(actor, Right.KEY_PUSH, version)
    require_live(version)
    new = NewJob(
        KIND,
        version.key.name,
        group=version.group,
        keys=[version.key],
        params={"version_id": str(version.pk), "tags": clean_tags(tags)},
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def current_version(group: KeyGroup) -> CloudVersion | None:
    """Return the group's active version; None when the vault uses none."""
    found = group.cloud_versions.filter(state=VersionState.ACTIVE).select_related("key", "group", "vault")
    return found.defer("key__wrapped_private", "key__public_spki").first()


def why_not_set_tags(group: KeyGroup) -> str:
    """Say why the current version's tags can't be set; "" when they can."""
    situation = blockers.situation_of_group(group)
    if not situation.has_active_version:
        return _("The group has no active version in the vault")
    return blockers.busy_text(situation.open_job)


class TagsForm(StartForm):
    """Asks for the tags, one a line."""

    asks_first = True
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=gettext_lazy("One name=value a line. Without any, the version has only the console's own tags."),
        widget=forms.Textarea(attrs={"rows": 5, "autofocus": True, "spellcheck": "false"}),
    )

    def __init__(self, data: QueryDict | None, *, version: CloudVersion | None) -> None:
        super().__init__(data)
        self.initial["tags"] = show_tags((version.tags or {}) if version else {})

    def clean_tags(self) -> dict[str, str]:
        """Return the tags as they will be set."""
        try:
            return clean_tags(parse_tags(self.cleaned_data["tags"]))
        except InputError as error:
            raise forms.ValidationError(str(error)) from error


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    version = current_version(group)
    facts = vault_facts(group)
    if version is not None:
        facts += [(_("Key"), version.key.name), (_("Azure version"), version.azure_version)]
    return Plan(
        title=_("Edit tags of %(group)s") % {"group": group.name},
        button=_("Set tags"),
        back=group.get_absolute_url(),
        facts=facts,
        effects=[
            _("The tags of the active version in the vault are replaced by these. The console's own tags stay."),
            _("Other versions stay as they are, and so do the tags that the key group gives to new versions."),
        ],
        obstacle=why_not_set_tags(group),
    )


def _form(given: FormInput) -> TagsForm:
    return TagsForm(given.data, version=current_version(given.target.the_group))


def _start(target: StartTarget, form: Any, given: Given) -> Job:
    version = current_version(target.the_group)
    if version is None:
        raise InputError(_("The group has no active version in the vault."), _("Synchronize a key first."))
    return request_set_tags(version=version, tags=form.cleaned_data["tags"], **given)


def _retry(job: Job, given: Given) -> Job:
    version = CloudVersion.objects.select_related("key", "group").get(pk=job.params["version_id"])
    return request_set_tags(version=version, tags=job.params["tags"], retry_of=job, **given)


SET_TAGS = JobSpec(
    kind=KIND,
    title=gettext_lazy("Set tags of HSM Protected key(s)"),
    right=Right.KEY_PUSH,
    wording=Wording("Tagging", "Tagged", "tag"),
    counts_keys=True,
    steps=(Step("set_tags", gettext_lazy("Set tags")),),
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(on_group(KIND, gettext_lazy("Edit Tags"), 36, why_not_set_tags),),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=_form, start=_start),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.set_tags.runner.RUNNER",
)
