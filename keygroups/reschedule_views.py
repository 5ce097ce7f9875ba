"""The page that moves the due rotations of many key groups to another day. GET shows, only POST changes."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from keygroups.calendar import day_url
from keygroups.due_moves import Move, check_day, earliest_day, latest_day, move_due, plan_moves
from keygroups.rotation_views import GROUPS_LISTED
from keygroups.scope_marks import mark_outside
from keygroups.selection import GroupSelection, digest_of_groups
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form

# So many groups that were left out are named in the message after the change.
LEFT_OUT_NAMED = 5


class RescheduleForm(forms.Form):
    """Asks to which day the rotations are moved."""

    day = forms.DateField(
        label=gettext_lazy("New day (UTC)"),
        help_text=gettext_lazy("Each rotation keeps its time of day. The next period counts from the new day."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limits = {"min": earliest_day().isoformat(), "max": latest_day().isoformat()}
        self.fields["day"].widget.attrs.update(limits)

    def clean_day(self) -> date:
        """Refuse a day that is too early or too late."""
        day: date = self.cleaned_data["day"]
        try:
            check_day(day)
        except InputError as error:
            raise forms.ValidationError(str(error)) from error
        return day


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.GROUP_MANAGE)
def reschedule(request: HttpRequest) -> HttpResponse:
    """Show when the selected groups rotate next and ask for another day; on POST without ``ask`` move them."""
    data = request.GET.copy()
    data.update(request.POST)
    sent = request.POST if request.method == "POST" and "ask" not in request.POST else None
    selection = GroupSelection.read(data) or GroupSelection()
    groups = selection.read_groups(seen=data.get("seen", ""))
    mark_outside(groups, user=request.user, right=Right.GROUP_MANAGE)
    form = RescheduleForm(sent)
    if sent is not None and form.is_valid():
        day = form.cleaned_data["day"]
        try:
            moves = move_due(groups=groups, day=day, actor=Actor.from_user(request.user))
        except InputError as error:
            form.add_error("day", str(error))
        else:
            if all(move.reason for move in moves):
                form.add_error("day", _("No rotation was moved. The reasons stand below."))
            else:
                _tell(request, moves, day.isoformat())
                return go_to(request, day_url(day))
    moves = plan_moves(groups, form.cleaned_data.get("day") if sent is not None else None)
    ready = sum(not move.reason for move in moves)
    count = ngettext("%(count)d key group", "%(count)d key groups", ready) % {"count": ready}
    context = {
        "form": form,
        "title": _("Reschedule rotation of %(groups)s") % {"groups": count},
        "moves": sorted(moves, key=lambda move: not move.reason)[:GROUPS_LISTED],
        "more": max(0, len(moves) - GROUPS_LISTED),
        "left_out": len(moves) - ready,
        "carried": [*selection.fields(), ("seen", digest_of_groups(groups))],
    }
    return render_form(request, "keygroups/reschedule_form.html", context, refused=bool(form.errors))


def _tell(request: HttpRequest, moves: list[Move], day: str) -> None:
    """Say how many rotations were moved, and which ones were not and why."""
    left_out = [move for move in moves if move.reason]
    moved = len(moves) - len(left_out)
    text = ngettext(
        "Rotation of %(count)d key group moved to %(day)s.",
        "Rotations of %(count)d key groups moved to %(day)s.",
        moved,
    )
    messages.success(request, text % {"count": moved, "day": day})
    if left_out:
        text = ngettext("%(count)d key group was left out", "%(count)d key groups were left out", len(left_out))
        named = "; ".join(f"{move.group.name}: {move.reason}" for move in left_out[:LEFT_OUT_NAMED])
        more = "; …" if len(left_out) > LEFT_OUT_NAMED else "."
        messages.warning(request, f"{text % {'count': len(left_out)}}: {named}{more}")
