"""The page that removes a group's keys: a matrix of here, cloud and both. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods

from jobs.confirmation.forms import StartForm, ask_for_reason
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import describe_all, requirements_of
from jobs.kinds.cloud_delete import spec as cloud_delete
from jobs.kinds.cloud_purge import spec as cloud_purge
from jobs.kinds.destroy import spec as destroy
from jobs.models import Job
from jobs.pages import confirmations, removal
from jobs.pages.removal import RemovalForm
from jobs.services import request_removal
from keygroups.filters import read_uuid
from keygroups.lookups import group_or_404
from keygroups.models import KeyGroup
from keygroups.services import stop_rotation
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError, PermissionRefused
from kmes.ui.access import refuse_outside, right_required
from kmes.ui.responses import back_to, go_to, render_form

# Kinds of jobs of which a removal can consist.
REMOVING = (cloud_delete.KIND, cloud_purge.KIND, destroy.KIND)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def remove(request: HttpRequest) -> HttpResponse:
    """Show what each way of removing takes and leaves; on POST start the first job."""
    return show_removal(request, scope=request.GET.get("scope", ""), asks_always=True)


def show_removal(request: HttpRequest, *, scope: str, asks_always: bool = False) -> HttpResponse:
    """Answer the page with ``scope`` chosen; a form that names none is about that one.

    ``asks_always``: the group's name is typed before each deletion, not only before one that can't be undone.

    Raises:
        PermissionRefused: the user may remove keys neither here nor in the cloud.

    """
    group = group_or_404(read_uuid(request.GET.get("group", "")))
    user: Any = request.user
    if not user.may(Right.KEY_DESTROY, group):
        refuse_outside(request, Right.CLOUD_DELETE, group)
    sent = _sent(request, scope)
    if sent is not None and (earlier := _earlier(sent, Actor.from_user(user))):
        return go_to(request, earlier.get_absolute_url())
    scopes, ways = removal.scopes(group, user), removal.ways(group, user)
    form = RemovalForm(sent, group=group, scopes=scopes, ways=ways, wanted=scope, asks_always=asks_always)
    needed = lying_in(requirements_of(REMOVING), [group.pk], [])
    if needed:
        # Which of them count depends on what is chosen; the request asks for a reason where one is needed.
        ask_for_reason(form, is_required=False)
    context: dict[str, Any] = {
        "needed": describe_all(needed),
        "group": group,
        "form": form,
        "scopes": scopes,
        "ways": ways,
        "lines": removal.matrix(group),
        "asks_always": asks_always,
        "possible": any(not scope.reason for scope in scopes),
        "may_manage": user.may(Right.GROUP_MANAGE, group),
        "refusal": None,
    }
    if sent is not None and form.is_valid():
        try:
            job = _start(group, form, Actor.from_user(user))
            return go_to(request, back_to(request, job.get_absolute_url()))
        except PermissionRefused:
            raise
        except KmesError as error:
            if isinstance(error, InputError) and error.field in form.fields:
                form.add_error(error.field, str(error))
            else:
                context["refusal"] = error
    return render_form(request, "jobs/remove.html", context, refused=sent is not None)


def _sent(request: HttpRequest, scope: str) -> QueryDict | None:
    if request.method != "POST":
        return None
    sent = request.POST.copy()
    sent.setdefault("scope", scope)
    return sent


def _earlier(sent: QueryDict, actor: Actor) -> Job | None:
    """Return the job a doubled form started; by then its own choices may be barred."""
    form = StartForm(sent)
    return confirmations.earlier_job(confirmations.idempotency_key_of(form, actor)) if form.is_valid() else None


def _start(group: KeyGroup, form: RemovalForm, actor: Actor) -> Job:
    """Start the first job, and switch the rotation off if asked; both or nothing."""
    key = confirmations.idempotency_key_of(form, actor)
    scope, way = form.cleaned_data["scope"], form.cleaned_data["way"]
    cloud = {"soft": "delete", "purge": "purge"}[way] if scope in {"cloud", "both"} else ""
    with transaction.atomic():
        if form.cleaned_data["stop_rotation"]:
            stop_rotation(group=group, actor=actor)
        return request_removal(
            group=group,
            cloud=cloud,
            local=scope in {"local", "both"},
            actor=actor,
            idempotency_key=key,
            **confirmations.reason_in(form),
        )
