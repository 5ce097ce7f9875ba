"""A vault's page, and the list of vaults in the Key Group dialog. Writes no group."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from cloudcreds import listing
from cloudcreds.listing import Listing
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.readiness import lines_of
from keygroups.change_views import dialog_context
from keygroups.filters import read_uuid
from keygroups.forms import GroupForm
from keygroups.key_readiness import read_cards
from keygroups.models import KeyGroup
from keygroups.preview import vault_choices
from keygroups.selectors import find_group
from kmes.accounts.permissions import render_permissions
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.actions import show_menu
from kmes.ui.responses import asks_for_fragment

_RIGHTS_ON_VAULTS = (
    *(Right.CONSOLE_READ, Right.VAULT_LIST, Right.CREDENTIAL_MANAGE, Right.GROUP_MANAGE, Right.KEY_PUSH),
    *(Right.KEY_ROTATE, Right.KEY_DISABLE, Right.CLOUD_DELETE, Right.CLOUD_PURGE),
)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_vault(request: HttpRequest, vault_id: UUID) -> HttpResponse:
    """Show how a vault and its keys are set up, as last read, and what to do about it."""
    vaults = KeyVault.objects.select_related("credential", "configuration").defer("credential__sealed_secret")
    vault = get_object_or_404(vaults, pk=vault_id)
    found = read_cards(vault, request.GET.get("page"))
    user: Any = request.user
    context = {
        "vault": vault,
        "lines": lines_of(vault),
        "cards": found.cards,
        "page": found.page,
        "alarms": found.alarms,
        "may_list": user.has_right(Right.VAULT_LIST),
        "may_test": user.has_right(Right.CREDENTIAL_MANAGE),
        "may_rotate": user.may(Right.KEY_ROTATE, vault),
        "may_push": user.may(Right.KEY_PUSH, vault),
        "may_group": user.may(Right.GROUP_MANAGE, vault),
    }
    return render(request, "keygroups/vault.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_vault_actions(request: HttpRequest, vault_id: UUID) -> HttpResponse:
    """Show the menu of a vault."""
    vault = get_object_or_404(
        KeyVault.objects.select_related("credential").defer("credential__sealed_secret"), pk=vault_id
    )
    back = f"{reverse('keygroups:keys')}?view=vault&vault={vault.pk}"
    return show_menu(request, "vault", vault, name=vault.name, back=back)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_vault_permissions(request: HttpRequest, vault_id: UUID) -> HttpResponse:
    """Show who may do what with a vault and the keys in it."""
    vault = get_object_or_404(KeyVault, pk=vault_id)
    back = reverse("keygroups:vault", args=[vault.pk])
    note = _("Roles that are given for single key groups or tags stand with the key groups.")
    return render_permissions(request, vault, rights=_RIGHTS_ON_VAULTS, back=back, scope_note=note)


@require_POST
@right_required(Right.GROUP_MANAGE)
def list_vaults(request: HttpRequest) -> HttpResponse:
    """Ask Azure for the vaults of the dialog's credential; ``?job=`` shows the result of an earlier request.

    Without script the whole dialog is shown again, with what was typed and with current lists.
    """
    context: dict[str, Any] = {"listing": None, "refusal": None}
    code = request.GET.get("job", "")
    try:
        context["listing"] = _find_or_404(code) if code else _start(request)
    except InputError as error:
        context["refusal"] = error
    if asks_for_fragment(request):
        return render(request, "keygroups/_vault_listing.html", context)
    group = _group_asked(request)
    form = GroupForm.unvalidated(request.POST, current=group)
    return render(request, "keygroups/group_form.html", {**dialog_context(form, group), **context})


@require_safe
@right_required(Right.GROUP_MANAGE)
def show_listing(request: HttpRequest, code: str) -> HttpResponse:
    """Show the progress of a listing, and fill the dialog's list when it has ended; 204 without a change."""
    found = _find_or_404(code)
    if found.state == request.GET.get("seen"):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    credential = _credential_asked(request.GET.get("credential", ""))
    choices = vault_choices(credential, request.GET.get("vault", "")) if credential else []
    return render(request, "keygroups/_vault_listing.html", {"listing": found, "vaults": choices})


def _start(request: HttpRequest) -> Listing:
    credential = _credential_asked(request.POST.get("credential", ""))
    if credential is None:
        raise InputError(
            _("No credential is chosen yet."), _("Choose the one to ask through, in the section Group."), field="vault"
        )
    return listing.start(credential, actor=Actor.from_user(request.user))


def _credential_asked(text: str) -> CloudCredential | None:
    wanted = read_uuid(text)
    return CloudCredential.objects.defer("sealed_secret").filter(pk=wanted).first() if wanted else None


def _group_asked(request: HttpRequest) -> KeyGroup | None:
    wanted = read_uuid(request.GET.get("group", ""))
    return find_group(wanted) if wanted else None


def _find_or_404(code: str) -> Listing:
    found = listing.find(code)
    if found is None:
        raise Http404(_("There is no such listing."))
    return found
