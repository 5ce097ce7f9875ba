"""Dialogs to save the current filter and to delete a saved one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.responses import asks_for_fragment, go_to, render_form
from logging_reports import saved_filters
from logging_reports.filters import LogFilterForm, SaveFilterForm
from logging_reports.models import SavedFilter


@require_http_methods(["GET", "HEAD", "POST"])
@right_required("log.read")
def save_filter(request: HttpRequest) -> HttpResponse:
    """Ask for a name, then save the filter of the query string."""
    wanted = LogFilterForm(request.GET)
    if not wanted.is_valid():
        raise InputError(_("This filter can't be used, so it can't be saved."), _("Correct it first."))
    form = SaveFilterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            saved = saved_filters.save_filter(
                name=form.cleaned_data["name"],
                query=wanted.query(),
                is_shared=form.cleaned_data["is_shared"],
                actor=Actor.from_user(request.user),
            )
        except InputError as error:
            form.add_error("name", str(error))
        else:
            return go_to(request, f"{reverse('logs:list')}?{saved.query}")
    context = {"form": form, "wanted": wanted, "chips": wanted.chips(), "is_fragment": asks_for_fragment(request)}
    return render_form(request, "logging_reports/save_filter.html", context, refused=bool(form.errors))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required("log.read")
def delete_filter(request: HttpRequest, filter_id: UUID) -> HttpResponse:
    """Ask for confirmation, then delete a saved filter."""
    user: Any = request.user
    visible = SavedFilter.objects.filter(Q(owner_id=user.pk) | Q(is_shared=True))
    saved = visible.filter(pk=filter_id).first()
    if saved is None:
        raise Http404(_("There is no such saved filter."))
    if request.method == "POST":
        saved_filters.delete_filter(saved, actor=Actor.from_user(user), may_delete_any=user.has_right("user.manage"))
        return go_to(request, f"{reverse('logs:list')}?{saved.query}")
    context = {
        "saved": saved,
        "chips": LogFilterForm(QueryDict(saved.query)).chips(),
        "is_fragment": asks_for_fragment(request),
    }
    return render_form(request, "logging_reports/delete_filter.html", context, refused=False)
