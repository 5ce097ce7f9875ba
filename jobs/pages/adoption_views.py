"""The page that asks whether a push may go into an Azure key that somebody else made. GET shows, only POST acts."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from jobs.confirmation.forms import TypedNameForm
from jobs.confirmation.plan import Plan, vault_facts
from jobs.models import Job
from jobs.pages.confirmations import earlier_job, idempotency_key_of
from jobs.pages.views import job_or_404
from jobs.planning.blockers import why_not_retry
from jobs.services import request_retry
from jobs.spec import registry
from keygroups import azure_names
from keygroups.guarded_changes import DESTINATIONS
from keygroups.lookups import group_or_404
from keygroups.models import KeyGroup, Observation
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import refuse_outside, right_required
from kmes.ui.responses import go_to, render_form

VERSIONS_LISTED = 20


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def adopt_name(request: HttpRequest, code: str, group_id: UUID) -> HttpResponse:
    """Show what stands under the group's name; on POST adopt it, and retry the job that it stopped."""
    job, group = job_or_404(code), group_or_404(group_id)
    refuse_outside(request, Right.GROUP_MANAGE, group)
    rows = azure_names.list_strangers(group)
    sent = request.POST if request.method == "POST" else None
    form = TypedNameForm(sent, expected=group.azure_name)
    context = {
        "plan": _plan(job, group, rows),
        "form": form,
        "kind": "",
        "change": DESTINATIONS,
        "several": False,
        "refusal": None,
        "carried": [("version", row.azure_version) for row in rows],
    }
    if sent is not None and form.is_valid():
        actor = Actor.from_user(request.user)
        key = idempotency_key_of(form, actor)
        try:
            with transaction.atomic():
                made = earlier_job(key)
                if made is None:
                    azure_names.adopt_name(group=group, versions=sent.getlist("version"), actor=actor)
                    made = request_retry(job=job, actor=actor, idempotency_key=key)
            return go_to(request, made.get_absolute_url())
        except KmesError as error:
            if isinstance(error, PermissionRefused):
                raise
            context["refusal"] = error
    return render_form(request, "jobs/start.html", context, refused=sent is not None)


def _plan(job: Job, group: KeyGroup, rows: list[Observation]) -> Plan:
    spec = registry.find(job.kind)
    if spec is None or not spec.pushes_keys:
        raise Http404(_("This job pushes no keys."))
    listed = [(row.azure_version, azure_names.describe_version(row)) for row in rows[:VERSIONS_LISTED]]
    if len(rows) > VERSIONS_LISTED:
        listed.append((_("Further versions"), str(len(rows) - VERSIONS_LISTED)))
    is_taken = azure_names.is_taken(group, [row.azure_version for row in rows])
    count = ngettext("Its %(count)d version stays", "Its %(count)d versions stay", len(rows)) % {"count": len(rows)}
    return Plan(
        title=_("Adopt the Azure key “%(key)s”") % {"key": group.azure_name},
        button=_("Adopt key and retry job"),
        back=job.get_absolute_url(),
        facts=[*vault_facts(group), *listed],
        effects=[
            _("%(versions)s in the vault as they are, and comparisons no longer report them.") % {"versions": count},
            _(
                "The job is retried: what it pushes becomes the current version of “%(key)s”. Whoever names the key "
                "without a version gets the new material, and can't decrypt or verify with it what the old one made."
            )
            % {"key": group.azure_name},
            _("From then on scheduled rotations push into this key too."),
        ],
        warnings=[
            _("This console did not make that key. Ask its users before adopting it."),
            _("Instead, edit the key group and choose another Azure key name."),
        ],
        obstacle=why_not_retry(job) if is_taken else _("The vault was not seen with a key of somebody else's here"),
        typed=group.azure_name,
        danger=True,
    )
