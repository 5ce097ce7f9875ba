"""The names that a pattern gives, while it is typed. Makes nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from jobs.confirmation.forms import PatternForm
from keygroups.filters import read_uuid
from keygroups.models import Key
from kmes.accounts.rights import Right
from kmes.ui.access import right_required

NAMES_SHOWN = 12


@require_safe
@right_required(Right.CONSOLE_READ)
def preview_names(request: HttpRequest) -> HttpResponse:
    """Say which names the pattern gives, or why it gives none."""
    form = PatternForm(request.GET)
    context: dict[str, Any] = {}
    if form.is_valid():
        names = form.names()
        group = read_uuid(request.GET.get("group", ""))
        lower = {name.lower() for name in names}
        known = Key.objects.filter(group=group).values_list("name", flat=True) if group else []
        taken = sorted(name for name in known if name.lower() in lower)
        shown = names if len(names) <= NAMES_SHOWN else [*names[: NAMES_SHOWN - 1], "…", names[-1]]
        count = ngettext("%(count)s key", "%(count)s keys", len(names)) % {"count": f"{len(names):,}"}
        context = {"count": count, "names": ", ".join(shown), "taken": ", ".join(taken[:NAMES_SHOWN])}
    else:
        # Empty fields are no mistake yet.
        typed = [errors[0] for name, errors in form.errors.items() if request.GET.get(name)]
        context = {"problem": typed[0] if typed else _("Type a pattern and the numbers to see the names.")}
    return render(request, "jobs/_names_preview.html", context)
