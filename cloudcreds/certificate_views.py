"""Pages about the certificates of a credential: download one, take one into use. Reads no private key."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cloudcreds import certificates
from cloudcreds.models import CloudCredential, SignInCertificate
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


@require_safe
@right_required(Right.CONSOLE_READ)
def download_certificate(_request: HttpRequest, credential_id: UUID, certificate_id: UUID) -> HttpResponse:
    """Return a certificate as a PEM file, to be registered in Entra. It is public."""
    found = SignInCertificate.objects.defer("sealed_key", "wrapped_key").select_related("credential")
    row = get_object_or_404(found, pk=certificate_id, credential_id=credential_id)
    name = f"{slugify(row.credential.name) or 'credential'}-{row.thumbprint[:8].lower()}.pem"
    return HttpResponse(
        row.pem,
        content_type="application/x-pem-file",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CREDENTIAL_MANAGE)
def use_certificate(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Confirm that the waiting certificate is registered in Entra, and sign in with it from now on."""
    credential = get_object_or_404(CloudCredential.objects.defer("sealed_secret"), pk=credential_id)
    waiting = certificates.find_waiting(credential)
    if waiting is None:
        raise Http404(_("No certificate is waiting to be used."))
    refusal = ""
    if request.method == "POST":
        try:
            certificates.use_waiting(
                credential=credential,
                thumbprint=request.POST.get("thumbprint", ""),
                actor=Actor.from_user(request.user),
            )
        except KmesError as error:
            refusal = str(error)
        else:
            messages.success(request, _("The credential signs in with the certificate. Test its connection next."))
            return go_to(request, credential.get_absolute_url())
    in_use = next((one for one in credential.certificates.defer("sealed_key", "wrapped_key") if one.is_in_use), None)
    context: dict[str, object] = {"credential": credential, "waiting": waiting, "in_use": in_use, "refusal": refusal}
    return render_form(request, "cloudcreds/use_certificate.html", context, refused=request.method == "POST")
