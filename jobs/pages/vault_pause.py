"""Lets a vault that does not answer be tried at once. POST only; the credential's page has the button."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from cloudcreds.models import KeyVault
from jobs.services import try_vault_now
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to


@require_POST
@right_required(Right.KEY_PUSH)
def try_vault(request: HttpRequest, vault_id: UUID) -> HttpResponse:
    """Let the vault's jobs try it now."""
    vault = get_object_or_404(
        KeyVault.objects.select_related("credential").defer("credential__sealed_secret"), pk=vault_id
    )
    try:
        try_vault_now(vault=vault, actor=Actor.from_user(request.user))
    except ConflictError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The next job tries %(vault)s now.") % {"vault": vault.name})
    return go_to(request, vault.credential.get_absolute_url())
