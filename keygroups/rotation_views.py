"""The page that changes the rotation of many key groups."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from keygroups.choices import PeriodUnit
from keygroups.fields import MAX_PERIOD
from keygroups.policy import period_text
from keygroups.rotation_changes import change_rotation
from keygroups.scope_marks import mark_outside, why_outside
from keygroups.selection import GroupSelection, digest_of_groups
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form

# So many groups are listed with how they rotate now.
GROUPS_LISTED = 200


class ManyRotationForm(forms.Form):
    """Asks how often the selected groups rotate."""

    rotate = forms.BooleanField(
        label=gettext_lazy("Rotate Key"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Makes a new key when due and pushes it. A changed period counts from the change."),
    )
    rotate_every = forms.IntegerField(
        label=gettext_lazy("Rotate Every"),
        initial=90,
        required=False,
        min_value=1,
        max_value=max(MAX_PERIOD.values()),
    )
    rotate_unit = forms.ChoiceField(
        label=gettext_lazy("Unit of rotation"), choices=PeriodUnit.choices, initial=PeriodUnit.DAYS
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a missing period where keys are to be rotated."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("rotate") and data.get("rotate_every") is None and "rotate_every" not in self.errors:
            self.add_error("rotate_every", _("Enter how often to rotate, or switch Rotate Key off."))
        return data


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def edit_rotation(request: HttpRequest) -> HttpResponse:
    """Show how the selected groups rotate and ask how they should; on POST without ``ask`` save it."""
    data = request.GET.copy()
    data.update(request.POST)
    sent = request.POST if request.method == "POST" and "ask" not in request.POST else None
    selection = GroupSelection.read(data) or GroupSelection()
    groups = selection.read_groups(seen=data.get("seen", ""))
    mark_outside(groups, user=request.user, right=Right.GROUP_MANAGE)
    allowed = [group for group in groups if not why_outside(group)]
    form = ManyRotationForm(sent)
    if sent is not None and form.is_valid() and allowed:
        chosen = form.cleaned_data
        every = chosen["rotate_every"] if chosen["rotate"] else None
        try:
            actor = Actor.from_user(request.user)
            changed = change_rotation(groups=allowed, every=every, unit=chosen["rotate_unit"], actor=actor)
        except InputError as error:
            form.add_error("rotate_every", str(error))
        else:
            text = ngettext(
                "Rotation of %(count)d key group changed.", "Rotation of %(count)d key groups changed.", changed
            )
            messages.success(request, text % {"count": changed})
            return go_to(request, reverse("keygroups:keys"))
    ready = len(allowed)
    count = ngettext("%(count)d key group", "%(count)d key groups", ready) % {"count": ready}
    context = {
        "form": form,
        "title": _("Edit rotation of %(groups)s") % {"groups": count},
        "ready": ready,
        "rows": [
            (
                group,
                period_text(group.rotate_every, group.rotate_unit) if group.rotate else _("off"),
                why_outside(group),
            )
            for group in sorted(groups, key=lambda group: not why_outside(group))[:GROUPS_LISTED]
        ],
        "more": max(0, len(groups) - GROUPS_LISTED),
        "carried": [*selection.fields(), ("seen", digest_of_groups(groups))],
    }
    return render_form(request, "keygroups/rotation_form.html", context, refused=bool(form.errors))
