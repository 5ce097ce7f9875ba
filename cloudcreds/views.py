"""Pages of Cloud Credentials: list, properties, add, edit, delete. No view opens a secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cloudcreds import selectors, services, tenants
from cloudcreds.activity import current
from cloudcreds.choices import SignIn
from cloudcreds.forms import CredentialForm
from cloudcreds.guarded_changes import CREATE, UPDATE
from cloudcreds.guide import set_up_guide
from cloudcreds.models import CloudCredential
from cloudcreds.tables import CredentialTable
from cloudcreds.values import PLAIN_FIELDS, CredentialChangedError
from kmes.accounts.permissions import render_permissions
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.core.guarded_changes import values_of_request
from kmes.ui.access import right_required
from kmes.ui.actions import show_menu
from kmes.ui.responses import back_to, go_to, render_form
from kmes.ui.tables import arrange, searched_text

GROUPS_SHOWN = 50
_RIGHTS = (
    *(Right.CONSOLE_READ, Right.CREDENTIAL_MANAGE, Right.VAULT_LIST, Right.GROUP_MANAGE, Right.KEY_PUSH),
    *(Right.KEY_ROTATE, Right.KEY_DISABLE, Right.CLOUD_DELETE, Right.CLOUD_PURGE),
)


def _find(credential_id: UUID) -> CloudCredential:
    return get_object_or_404(CloudCredential.objects.defer("sealed_secret"), pk=credential_id)


@require_safe
@right_required(Right.CONSOLE_READ)
def list_credentials(request: HttpRequest) -> HttpResponse:
    """List the credentials, filtered by why they need attention and by a search text."""
    show, search = request.GET.get("show", ""), searched_text(request.GET)
    found = selectors.list_credentials(show=show, search=search)
    table = CredentialTable(found)
    arrange(request, table)
    context = {
        "table": table,
        "show": show,
        "search": search,
        "tabs": selectors.ATTENTION_LABELS.items(),
        "is_empty": not search and not show and not found.exists(),
        "can_add": request.user.has_right(Right.CREDENTIAL_MANAGE),  # type: ignore[union-attr]
    }
    return render(request, "cloudcreds/list.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show a credential's properties, its last test, its vaults and the set-up guide."""
    activity = current(credential_id)
    credential = _find(credential_id)
    vaults = list(credential.vaults.select_related("circuit").order_by("name"))
    groups = list(credential.groups.order_by("name")[: GROUPS_SHOWN + 1])
    count = len(groups) if len(groups) <= GROUPS_SHOWN else credential.groups.count()
    user: Any = request.user
    context = {
        "credential": credential,
        "expiry": selectors.describe_sign_in_expiry(credential),
        "certificates": selectors.list_certificates(credential),
        "token_file": settings.KMES_FEDERATED_TOKEN_FILE,
        "may_manage": user.has_right(Right.CREDENTIAL_MANAGE),
        "vaults": vaults,
        "groups": groups[:GROUPS_SHOWN],
        "more_groups": count - len(groups[:GROUPS_SHOWN]),
        "guide": set_up_guide(credential),
        "test": selectors.view_test(credential, vaults, activity, request.GET.get("vault", "")),
        "may_test": user.has_right(Right.CREDENTIAL_MANAGE),
        "may_try": user.has_right(Right.KEY_PUSH),
    }
    return render(request, "cloudcreds/detail.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_test(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Return the connection test alone, for a page that polls; 204 when nothing changed."""
    activity = current(credential_id)
    credential = _find(credential_id)
    chosen = request.GET.get("vault", "")
    test = selectors.view_test(credential, list(credential.vaults.order_by("name")), activity, chosen)
    if test.digest == request.GET.get("seen"):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    user: Any = request.user
    context = {"credential": credential, "test": test, "may_test": user.has_right(Right.CREDENTIAL_MANAGE)}
    return render(request, "cloudcreds/_test.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_guide(request: HttpRequest) -> HttpResponse:
    """Show how Azure has to be set up, with the ids of ``?credential=`` filled in."""
    chosen = request.GET.get("credential", "")
    credentials = list(CloudCredential.objects.defer("sealed_secret").order_by("name"))
    credential = next((one for one in credentials if str(one.pk) == chosen), None)
    context = {
        "guide": set_up_guide(credential),
        "credential": credential,
        "credentials": credentials,
        "can_add": request.user.has_right(Right.CREDENTIAL_MANAGE),  # type: ignore[union-attr]
    }
    return render(request, "cloudcreds/guide.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_actions(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Return the credential's menu, as a fragment or as a page."""
    credential = _find(credential_id)
    return show_menu(request, "credential", credential, name=credential, back=credential.get_absolute_url())


@require_safe
@right_required(Right.CONSOLE_READ)
def show_permissions(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show who may do what with a credential, and with the keys behind it."""
    credential = _find(credential_id)
    note = _("Roles that are given for certain vaults, key groups or tags stand with these.")
    back = credential.get_absolute_url()
    return render_permissions(request, credential, rights=_RIGHTS, back=back, scope_note=note)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CREDENTIAL_MANAGE)
def add_credential(request: HttpRequest) -> HttpResponse:
    """Add a credential."""
    form = CredentialForm(request.POST or None, request.FILES or None, initial=_approved(request, CREATE))
    if request.method == "POST" and form.is_valid():
        try:
            credential = services.create_credential(values=form.values(), actor=Actor.from_user(request.user))
        except KmesError as error:
            form.refuse(error)
        else:
            return _go_on(request, credential)
    context = {
        "form": form,
        "stand_in_hint": bool(settings.KMES_STAND_IN_URL),
        "guide": set_up_guide(),
        "token_file": settings.KMES_FEDERATED_TOKEN_FILE,
    }
    return render_form(request, "cloudcreds/form.html", context, refused=request.method == "POST")


def _approved(request: HttpRequest, operation: str) -> dict[str, Any]:
    """Return the values of an approved request that the form applies (``?approved=``)."""
    found = values_of_request(request.GET.get("approved", ""), operation, user_id=request.user.pk)
    return {name: found[name] for name in PLAIN_FIELDS if name in found}


def _go_on(request: HttpRequest, credential: CloudCredential) -> HttpResponse:
    """Say what comes next for a new credential, and go there."""
    back = back_to(request, credential.get_absolute_url())
    if credential.sign_in == SignIn.DEVICE_CERTIFICATE:
        messages.success(request, _("The credential is stored. Make its certificate next."))
        query = urlencode({"credential": credential.pk})
        return go_to(request, f"{reverse('jobs:start', args=['make_certificate'])}?{query}")
    messages.success(request, _("The credential is stored. List its key vaults next."))
    _look_up_tenant(request, credential)
    return go_to(request, back)


def _look_up_tenant(request: HttpRequest, credential: CloudCredential) -> None:
    """Let a worker look up the id of a tenant that was typed as a domain, and say so."""
    if tenants.look_up(credential, actor=Actor.from_user(request.user)):
        text = _("A worker now asks Entra for the ID of the tenant %(domain)s and records it in place of the domain.")
        messages.info(request, text % {"domain": credential.tenant_id})


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CREDENTIAL_MANAGE)
def edit_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Edit a credential; when somebody else saved it meanwhile, show what differs."""
    credential = _find(credential_id)
    approved = _approved(request, UPDATE)
    form = CredentialForm(request.POST or None, request.FILES or None, current=credential, initial=approved)
    changed: list[object] = []
    if request.method == "POST" and form.is_valid():
        try:
            credential = services.update_credential(
                credential=credential,
                values=form.values(),
                lock_version=form.cleaned_data["lock_version"] or 0,
                actor=Actor.from_user(request.user),
            )
        except CredentialChangedError as error:
            changed = list(error.differences)
            form.follow(error.current.lock_version)
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The credential is saved."))
            _look_up_tenant(request, credential)
            return go_to(request, back_to(request, credential.get_absolute_url()))
    context = {
        "form": form,
        "credential": credential,
        "differences": changed,
        "guide": set_up_guide(credential),
        "token_file": settings.KMES_FEDERATED_TOKEN_FILE,
    }
    return render_form(request, "cloudcreds/form.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CREDENTIAL_MANAGE)
def delete_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Confirm and delete the credential here; nothing in the cloud changes."""
    credential = _find(credential_id)
    refusal = services.refusal_to_delete(credential)
    if request.method == "POST":
        try:
            services.delete_credential(credential=credential, actor=Actor.from_user(request.user))
        except KmesError as error:
            refusal = str(error)
        else:
            messages.success(request, _("%(name)s is deleted.") % {"name": credential})
            return go_to(request, reverse("cloudcreds:list"))
    context = {"credential": credential, "refusal": refusal}
    return render_form(request, "cloudcreds/delete.html", context, refused=request.method == "POST")


@require_safe
@right_required(Right.CREDENTIAL_MANAGE)
def start_test(_request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Redirect to the confirmation of the connection test, which is a job."""
    credential = _find(credential_id)
    query = urlencode({"credential": credential.pk})
    return redirect(f"{reverse('jobs:start', args=['test_connection'])}?{query}")
