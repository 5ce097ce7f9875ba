"""What a passkey is asked to sign for a form of approvals, and what it signed."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalRequest, Verdict
from jobs.engine.approver_signatures import statement_of, stored_reason
from kmes.accounts.second_factor import step_up
from kmes.accounts.second_factor.passkeys import statements
from kmes.accounts.second_factor.passkeys.views import statement_options
from kmes.accounts.second_factor.services import Factor
from kmes.accounts.second_factor.sign_in import note_proof


def options(
    request: HttpRequest, found: Sequence[ApprovalRequest], verdict: Verdict, form: Any, *, is_seen: bool
) -> HttpResponse:
    """Answer what the user's passkey is asked to sign: this verdict on the plans that were shown, with the comment."""
    if not form.is_valid() or not is_seen:
        said = next(iter(form.errors.values()))[0] if form.errors else _("The plan has changed since it was shown.")
        return JsonResponse({"error": str(said)}, status=HTTPStatus.CONFLICT)
    return statement_options(request, _statements(request, found, verdict, form))


def signature(
    request: HttpRequest, found: Sequence[ApprovalRequest], verdict: Verdict, form: Any
) -> dict[str, Any] | None:
    """Return what a passkey signed of a sent form; None where none was used.

    Raises:
        FactorRefused: it signed nothing, or something else.

    """
    sent, user = form.cleaned_data.get("passkey"), _user(request)
    if not sent:
        return None
    proof = statements.sign(request, user, sent, _statements(request, found, verdict, form))
    note_proof(request, Factor.PASSKEY)
    return proof


def lead_to_confirmation(request: HttpRequest, form: Any) -> HttpResponse | None:
    """Return the way to the page that asks for the second factor, where a valid form proves none and one is due.

    The middleware lets a form pass that seems to have a passkey's answer; whether it has one says the form.
    """
    name = request.resolver_match.view_name if request.resolver_match else ""
    if form.cleaned_data.get("passkey") or not step_up.is_due(request, name=name):
        return None
    return step_up.lead_to(request, "accounts:confirm_factor", name=name)


def _statements(request: HttpRequest, found: Sequence[ApprovalRequest], verdict: Verdict, form: Any) -> list[str]:
    reason, user = stored_reason(form.cleaned_data["reason"]), _user(request)
    return [statement_of(each, user_id=user.pk, verdict=verdict, reason=reason) for each in found]


def _user(request: HttpRequest) -> Any:
    return request.user
