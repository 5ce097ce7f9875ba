"""Pages that change key groups: the Key Group dialog with its preview, and the deletion."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from cloudcreds.models import CloudCredential
from keygroups.consumers import CONSUMERS
from keygroups.dialog_fields import StorageForm
from keygroups.filters import read_uuid
from keygroups.forms import GroupForm
from keygroups.lookups import group_or_404
from keygroups.models import KeyGroup
from keygroups.policy import describe, policy_of
from keygroups.preview import preview
from keygroups.selectors import find_group
from keygroups.services import create_group, update_group, why_not_delete
from keygroups.services import delete_group as remove_group
from keygroups.values import GroupChangedError
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import refuse_outside, right_required
from kmes.ui.responses import go_to, render_form


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def add_group(request: HttpRequest) -> HttpResponse:
    """Ask for the key type and storage, then for the group, and create it."""
    if request.method != "POST" and not StorageForm(request.GET).is_valid():
        return render(request, "keygroups/group_storage.html", {"form": StorageForm()})
    form = GroupForm(request.POST if request.method == "POST" else None, initial=_first_choices(request))
    if request.method == "POST" and form.is_valid():
        try:
            group = create_group(values=form.values(), actor=Actor.from_user(request.user))
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Key group %(name)s created.") % {"name": group.name})
            return go_to(request, group.get_absolute_url())
    return render_form(request, "keygroups/group_form.html", dialog_context(form), refused=bool(form.errors))


def dialog_context(form: GroupForm, group: KeyGroup | None = None) -> dict[str, object]:
    """Return what the dialog shows beside its fields. Without ``group`` it is about a new one."""
    if group is None:
        action, back = reverse("keygroups:group_add"), reverse("keygroups:keys")
        has_credentials = CloudCredential.objects.exists()
        return {"form": form, "has_credentials": has_credentials, "action": action, "back": back}
    return {
        "form": form,
        "group": group,
        "has_credentials": True,
        "action": reverse("keygroups:group_edit", args=[group.pk]),
        "back": group.get_absolute_url(),
        "description": describe(policy_of(group)),
        "operations": ", ".join(group.azure_operations),
    }


def _first_choices(request: HttpRequest) -> dict[str, object]:
    """Preselect the credential that the link names, or the only one there is, and what the chosen consumer takes."""
    wanted = read_uuid(request.GET.get("credential", ""))
    credentials = CloudCredential.objects.values_list("pk", flat=True)
    known = list((credentials.filter(pk=wanted) if wanted else credentials)[:2])
    chosen: dict[str, object] = {"credential": known[0]} if len(known) == 1 else {}
    if consumer := CONSUMERS.get(request.GET.get("consumer", "")):
        chosen |= {"consumer": consumer.value, **consumer.preset()}
    return chosen


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def edit_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Show the dialog with the group's values. Save it unless somebody else has saved it since."""
    group = group_or_404(group_id)
    refuse_outside(request, Right.GROUP_MANAGE, group)
    form = GroupForm(request.POST if request.method == "POST" else None, current=group)
    context = dialog_context(form, group)
    if request.method == "POST" and form.is_valid():
        seen = form.cleaned_data["lock_version"] or 0
        try:
            saved = update_group(
                group=group, values=form.values(), lock_version=seen, actor=Actor.from_user(request.user)
            )
        except GroupChangedError as error:
            form.refuse(error)
            form.accept_current(error.current.lock_version)
            context["differences"] = error.differences
        except PermissionRefused:
            raise
        except KmesError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Key group %(name)s saved.") % {"name": saved.name})
            return go_to(request, saved.get_absolute_url())
    return render_form(request, "keygroups/group_form.html", context, refused=bool(form.errors))


@require_POST
@right_required(Right.GROUP_MANAGE)
def preview_group(request: HttpRequest) -> HttpResponse:
    """Describe the current choices of the dialog in a sentence. Changes nothing."""
    group_id = read_uuid(request.GET.get("group", ""))
    current = find_group(group_id) if group_id else None
    changed = request.headers.get("HX-Trigger-Name", "")
    return render(request, "keygroups/_preview.html", preview(request.POST, current=current, changed=changed))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def delete_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Ask before a group is deleted here, and delete it."""
    group = group_or_404(group_id)
    refuse_outside(request, Right.GROUP_MANAGE, group)
    context: dict[str, object] = {"group": group, "reason": why_not_delete(group)}
    if request.method == "POST":
        try:
            remove_group(group=group, actor=Actor.from_user(request.user))
        except KmesError as error:
            context["reason"] = str(error)
        else:
            messages.success(request, _("Key group %(name)s deleted. Azure was not touched.") % {"name": group.name})
            return go_to(request, reverse("keygroups:keys"))
    return render_form(request, "keygroups/group_delete.html", context, refused=request.method == "POST")
