"""The table of jobs."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from jobs.choices import STATE_COLOURS, JobState
from jobs.models import Job
from jobs.pages.progress import describe_duration, describe_running
from kmes.core.actor import Trigger
from kmes.core.clock import now
from kmes.ui.tables import ConsoleTable, MenuColumn, PickColumn, StateColumn, TimeColumn, worth

TRIGGER_LABELS = {
    Trigger.USER: _("User"),
    Trigger.SCHEDULE: _("Schedule"),
    Trigger.SYSTEM: _("System"),
    Trigger.API: _("API"),
}

EMPTY = "–"
NOWRAP = {"td": {"class": "text-nowrap"}}
# Stays however narrow the table is (tables.js).
_KEPT = {"td": {"class": "text-nowrap"}, "th": {"data-keep": True}}
_CUT = {"td": {"class": "text-nowrap job-progress"}}
# What the job's page tells as well gives way on narrow screens.
WIDE_ONLY = {name: {"class": "text-nowrap wide-only"} for name in ("th", "td")}


def _actions_url(record: Job) -> str:
    # The table passes it by this name.
    return reverse("jobs:actions", args=[record.code])


class JobTable(ConsoleTable):
    """Jobs, newest first; a row opens on Enter or double click."""

    caption = _("Jobs")
    saved_as = "jobs"
    essential = ("code",)
    # A job's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d job", "%(count)d jobs", "count")
    pick = PickColumn()
    code = tables.Column(verbose_name=_("ID"), orderable=False, attrs=NOWRAP)
    # What was done tells more than all but its subject and its end.
    title = tables.Column(verbose_name=_("Name"), order_by="kind", attrs=worth(1))
    subject = tables.Column(verbose_name=_("Subject"), attrs={"td": {"class": "text-nowrap name-cell"}})
    group = tables.Column(verbose_name=_("Key group"), accessor="group__name", attrs=WIDE_ONLY)
    vault = tables.Column(verbose_name=_("Key Vault"), accessor="group__vault__name", attrs=WIDE_ONLY)
    state = StateColumn(
        verbose_name=_("Status"), accessor="get_state_display", order_by="state", colours=STATE_COLOURS, attrs=_KEPT
    )
    started_at = TimeColumn(verbose_name=_("Started"), attrs=NOWRAP)
    progress = tables.Column(verbose_name=_("Progress"), empty_values=(), orderable=False, attrs=_CUT)
    actor_name = tables.Column(verbose_name=_("Started by"), attrs=NOWRAP)
    finished_at = TimeColumn(verbose_name=_("Finished"), attrs=WIDE_ONLY)
    duration = tables.Column(verbose_name=_("Duration"), empty_values=(), orderable=False, attrs=NOWRAP)
    device_serial = tables.Column(verbose_name=_("Device"), attrs=WIDE_ONLY)
    trigger = tables.Column(verbose_name=_("Trigger"), attrs=WIDE_ONLY)
    menu = MenuColumn(_actions_url)

    class Meta(ConsoleTable.Meta):
        """One row opens one job."""

        attrs = {"class": "table table-hover console-table is-dense"}
        row_attrs = {
            "id": lambda record: f"row-{record.code}",
            "data-open": lambda record: record.get_absolute_url(),
            "data-menu": _actions_url,
            # A click or Space shows the whole subject below the line.
            "data-whole": "",
            "tabindex": "0",
        }

    def render_code(self, record: Job) -> SafeString:
        """Link the job by its number."""
        return format_html('<a class="font-monospace" href="{}">{}</a>', record.get_absolute_url(), record)

    def render_subject(self, value: str) -> SafeString:
        """Show what the job is about, cut in the middle where it has no room."""
        from kmes.ui.templatetags.kmes_ui import cut_to_width  # noqa: PLC0415 - as below

        return cut_to_width(value)

    def render_state(self, record: Job) -> SafeString:
        """Show the state; one that waits says for what, and when it looks again."""
        from kmes.ui.templatetags.kmes_ui import badge, countdown  # noqa: PLC0415 - the tag library needs loaded apps

        shown = badge(record.shown_state_label, record.state_colour)
        if not record.waiting_for:
            return shown
        waits = format_html('<span class="job-waits" title="{}">{}</span>', record.waiting_for, record.waiting_for)
        if record.state != JobState.QUEUED or record.run_after <= now():
            return format_html("{} {}", shown, waits)
        return format_html("{} {} <span>{} {}</span>", shown, waits, _("Next look:"), countdown(record.run_after))

    def render_progress(self, record: Any) -> str:
        """Show steps done of steps known; never a percentage."""
        return describe_running(record) or EMPTY

    def render_trigger(self, value: str) -> str:
        """Show what set the job off."""
        return str(TRIGGER_LABELS.get(Trigger(value), value))

    def render_duration(self, record: Job) -> str:
        """Show how long it took, or has taken so far."""
        return describe_duration(record.started_at, record.finished_at) or EMPTY
