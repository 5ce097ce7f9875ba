"""Pages of Self-certification: the runs, how to begin one, one run with its report. GET shows, only POST begins."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from hsm.verification import public_pem
from jobs.certifications import selectors
from jobs.certifications.checklist import CHECKS
from jobs.certifications.forms import CertificationForm
from jobs.certifications.models import Certification
from jobs.certifications.report import VERIFY_COMMAND
from jobs.certifications.services import request_certification
from jobs.certifications.tables import CertificationTable
from jobs.choices import STATE_COLOURS
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form, send_file
from kmes.ui.tables import arrange, searched_text

NO_CONTENT = 204
# What a verifier needs, under the names that the command uses.
FILES = (("report", "report.json"), ("signature", "report.sig"), ("signer", "signer.pem"))


def _find(code: str) -> Certification:
    found = selectors.find_certification(code)
    if found is None:
        raise Http404(_("There is no self-certification of this number."))
    return found


@require_safe
@right_required(Right.CONSOLE_READ)
def list_certifications(request: HttpRequest) -> HttpResponse:
    """List the runs."""
    user: Any = request.user
    search = searched_text(request.GET)
    table = CertificationTable(selectors.list_certifications(search))
    arrange(request, table)
    context = {
        "table": table,
        "search": search,
        "is_empty": not search and not table.paginator.count,
        "may_run": user.has_right(Right.DEVICE_MANAGE),
    }
    return render(request, "certifications/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.DEVICE_MANAGE)
def begin_certification(request: HttpRequest) -> HttpResponse:
    """Say what a run does; on POST begin it and go there."""
    sent = request.POST if request.method == "POST" else None
    form = CertificationForm(sent, chosen=request.GET.get("vault", ""))
    refusal: KmesError | None = None
    if sent is not None and form.is_valid():
        token = form.cleaned_data["idempotency_key"]
        try:
            made = request_certification(
                vault=form.cleaned_data["vault"],
                key_spec=form.cleaned_data["key_spec"],
                actor=Actor.from_user(request.user),
                idempotency_key=f"{request.user.pk}:{token}" if token else "",
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            if isinstance(error, InputError) and error.field in form.fields:
                form.add_error(error.field, str(error))
            else:
                refusal = error
        else:
            return go_to(request, made.get_absolute_url())
    context = {"form": form, "steps": CHECKS, "refusal": refusal, "approvals": selectors.possible_approvals()}
    return render_form(request, "certifications/begin.html", context, refused=sent is not None)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_certification(request: HttpRequest, code: str) -> HttpResponse:
    """Show one run: checklist, evidence, what is left, the signed report."""
    return render(request, "certifications/detail.html", _context(_find(code)))


@require_safe
@right_required(Right.CONSOLE_READ)
def show_live(request: HttpRequest, code: str) -> HttpResponse:
    """Answer the run's checklist while it goes on; 204 when nothing changed."""
    context = _context(_find(code))
    if context["view"].digest == request.GET.get("seen"):
        return HttpResponse(status=NO_CONTENT)
    return render(request, "certifications/_live.html", context)


def _context(certification: Certification) -> dict[str, Any]:
    return {
        "view": selectors.view_certification(certification),
        "certification": certification,
        "colour": STATE_COLOURS[certification.state],
        "verify_command": VERIFY_COMMAND,
        "downloads": [(name, reverse(f"certifications:{view}", args=[certification.code])) for view, name in FILES],
    }


# --- Downloads -------------------------------------------------------------------------------
def _signed(code: str) -> Certification:
    certification = _find(code)
    if not certification.report:
        raise Http404(_("The report is not signed yet."))
    return certification


@require_safe
@right_required(Right.CONSOLE_READ)
def download_report(_request: HttpRequest, code: str) -> HttpResponse:
    """Send the signed bytes, to the letter."""
    return send_file(_signed(code).report.encode(), "application/json", name="report.json")


@require_safe
@right_required(Right.CONSOLE_READ)
def download_signature(_request: HttpRequest, code: str) -> HttpResponse:
    """Send the signature (DER, ECDSA over SHA-256)."""
    return send_file(bytes(_signed(code).signature), "application/octet-stream", name="report.sig")


@require_safe
@right_required(Right.CONSOLE_READ)
def download_signer(_request: HttpRequest, code: str) -> HttpResponse:
    """Send the public half of the device key that signed."""
    return send_file(public_pem(bytes(_signed(code).signer_spki)), "application/x-pem-file", name="signer.pem")
