"""The page that asks before something is done to many key groups. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs.confirmation.forms import StartForm, TypedNameForm, ask_for_reason
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import describe_all, requirements_of
from jobs.kinds.many_groups.approval import actions_on_each
from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.kinds.many_groups.spec import request_many
from jobs.pages import confirmations
from jobs.pages.change_views import require_right
from jobs.pages.many_groups import plan_many
from jobs.spec import registry
from keygroups.scope_marks import mark_outside
from keygroups.selection import GroupSelection, digest_of_groups
from kmes.accounts.rights import Right
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def start_many(request: HttpRequest, kind: str) -> HttpResponse:
    """Show what will happen to each of the selected key groups; on POST start one job for them and go there."""
    operation = OPERATIONS.get(kind)
    if operation is None:
        raise Http404(_("There is no such action on many key groups."))
    actor = require_right(request, registry[kind].right)
    data = request.GET.copy()
    data.update(request.POST)
    # A selection is posted because it may be long; that asks, and starts nothing.
    sent = request.POST if request.method == "POST" and "ask" not in request.POST else None
    token = StartForm(sent)
    key = confirmations.idempotency_key_of(token, actor) if token.is_valid() else ""
    if (earlier := confirmations.earlier_job(key)) is not None:
        return go_to(request, earlier.get_absolute_url())
    selection = GroupSelection.read(data) or GroupSelection()
    groups = selection.read_groups(seen=data.get("seen", ""))
    mark_outside(groups, user=request.user, right=registry[kind].right)
    plan = plan_many(operation, groups, left_out=frozenset(sent.get("left_out", "").split()) if sent else ())
    form = TypedNameForm(sent, expected=plan.typed) if plan.typed else StartForm(sent)
    needed = lying_in(requirements_of(actions_on_each(kind)), [group.pk for group in plan.eligible], [])
    if needed:
        # Where a policy counts keys, the request asks for the reason.
        ask_for_reason(form, is_required=any(each.least <= 1 for each in needed))
    context: dict[str, Any] = {"plan": plan, "form": form, "danger": operation.danger, "refusal": None}
    context["needed"] = describe_all(needed)
    left_out = {each.pk.hex for each in groups} - {each.pk.hex for each in plan.eligible}
    context["carried"] = [
        *selection.fields(),
        ("seen", digest_of_groups(groups)),
        ("left_out", " ".join(sorted(left_out))),
    ]
    if sent is not None and form.is_valid():
        try:
            given = confirmations.reason_in(form)
            job = request_many(kind=kind, groups=plan.eligible, actor=actor, idempotency_key=key, **given)
            return go_to(request, job.get_absolute_url())
        except KmesError as error:
            if isinstance(error, PermissionRefused):
                raise
            context["refusal"] = error
    return render_form(request, "jobs/start_many.html", context, refused=sent is not None)
