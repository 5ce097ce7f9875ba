"""Approving several requests at once: all plans below each other, one comment, one second factor. GET shows, POST acts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from jobs.approvals import passkey_answers, selectors, services
from jobs.approvals.forms import MOST_IN_A_BATCH, BatchForm
from jobs.approvals.models import ApprovalRequest, Verdict
from jobs.approvals.request_pages import context_of
from kmes.accounts.rights import Right
from kmes.accounts.second_factor.passkeys import statements
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


@dataclass(frozen=True)
class _Shown:
    """A request on the page, with why the user can't approve it; "" where they can."""

    found: ApprovalRequest
    against: str


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def approve_several(request: HttpRequest) -> HttpResponse:
    """Show the plans of the selected requests and ask for their approval; on POST record it for each."""
    user: Any = request.user
    sent = request.POST if request.method == "POST" else None
    form = BatchForm(sent)
    refusal: KmesError | None = None
    if sent is not None and form.is_valid():
        if confirmation := passkey_answers.lead_to_confirmation(request, form):
            return confirmation
        try:
            return _approve(request, form)
        except KmesError as error:
            refusal = error
    wanted = form.cleaned_data.get("seen", {}) if sent is not None else _codes_of(request.GET.getlist("key"))
    shown = [_Shown(each, _why_not(each, user)) for each in _find(wanted)]
    open_ones = [each.found for each in shown if not each.against]
    form.initial["seen"] = " ".join(f"{each.job.code}:{each.digest}" for each in open_ones)
    context = {
        "form": form,
        "open_ones": open_ones,
        "left_out": [each for each in shown if each.against],
        "most": MOST_IN_A_BATCH,
        "signs": statements.signs(user),
        "refusal": refusal,
    }
    return render_form(request, "approvals/batch.html", context, refused=sent is not None)


@require_POST
@right_required(Right.CONSOLE_READ)
def batch_options(request: HttpRequest) -> HttpResponse:
    """Answer what the user's passkey is asked to sign: the approval of each plan that was shown, in one list."""
    form = BatchForm(request.POST)
    seen = form.cleaned_data["seen"] if form.is_valid() else {}
    found = _find(seen)
    is_seen = bool(found) and {each.job.code: each.digest for each in found} == seen
    return passkey_answers.options(request, found, Verdict.APPROVE, form, is_seen=is_seen)


def _approve(request: HttpRequest, form: BatchForm) -> HttpResponse:
    """Record the approval of each request, one after the other: one that is decided meanwhile stops no other.

    Raises:
        FactorRefused: the passkey signed nothing, or something else.
        ConflictError: there is none to approve.

    """
    seen, actor = form.cleaned_data["seen"], Actor.from_user(request.user)
    found = _find(seen)
    if not found:
        raise ConflictError(_("No request is selected."), _("Select some on the page before."))
    proof = passkey_answers.signature(request, found, Verdict.APPROVE, form)
    approved = 0
    for each in found:
        try:
            services.decide(
                request=each,
                verdict=Verdict.APPROVE,
                reason=form.cleaned_data["reason"],
                seen=seen[each.job.code],
                actor=actor,
                proof=proof,
            )
        except KmesError as error:
            said = _("%(job)s was not approved: %(why)s") % {"job": each.job, "why": error.what}
            messages.warning(request, said)
        else:
            approved += 1
    if approved:
        said = ngettext("You approved %(count)d request.", "You approved %(count)d requests.", approved)
        messages.success(request, said % {"count": approved})
    return go_to(request, f"{reverse('approvals:list')}?show=mine")


def _why_not(found: ApprovalRequest, user: Any) -> str:
    context = context_of(found, user)
    if not context["is_open"]:
        return _("This request is no longer open.")
    if not context["is_genuine"]:
        return _("This request is not as it was made: somebody wrote to the database. No worker runs it.")
    return str(context["against"] or context["changed"])


def _codes_of(keys: Sequence[str]) -> list[str]:
    """Return the codes of the jobs of the requests that the boxes of the list name, as many as there may be."""
    numbers = [int(key) for key in keys if key.isdecimal() and len(key) < 19][:MOST_IN_A_BATCH]
    return list(ApprovalRequest.objects.filter(pk__in=numbers).values_list("job__code", flat=True))


def _find(codes: Iterable[str]) -> list[ApprovalRequest]:
    """Return the requests of these jobs, the oldest first: the order in which their approvals are signed."""
    found = ((code, selectors.find_request(code)) for code in codes)
    # A code in other letters is found as well, but is none that the page showed.
    exact = [each for code, each in found if each is not None and each.job.code == code]
    return sorted(exact, key=lambda each: (each.requested_at, each.pk))
