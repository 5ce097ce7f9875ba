"""The table of destinations."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from kmes.ui.tables import ConsoleTable, TimeColumn, worth
from kmes.ui.templatetags.kmes_ui import badge
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.forwarding.selectors import Lag
from logging_reports.safe_text import visible

_NOWRAP = {"td": {"class": "text-nowrap"}}
_BREAKS = {"td": {"class": "text-break"}}
_NUMBER = {"td": {"class": "text-end"}, "th": {"class": "text-end"}}


def state_badge(destination: ForwardingDestination) -> SafeString:
    """Show whether a destination is in use and works."""
    if not destination.is_enabled:
        return badge(_("Not in use"), "neutral")
    if destination.is_alarmed:
        return badge(_("Behind"), "bad")
    return badge(_("Fails"), "warning") if destination.failures else badge(_("In use"), "good")


class DestinationTable(ConsoleTable):
    """The destinations. ``lags`` has to be set before it is shown."""

    caption = gettext_lazy("Destinations")
    saved_as = "log-destinations"
    # A destination's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d destination", "%(count)d destinations", "count")
    lags: dict[object, Lag] = {}
    name = tables.Column(verbose_name=gettext_lazy("Name"), linkify=True)
    is_enabled = tables.Column(verbose_name=gettext_lazy("State"), attrs=worth(2))
    transport = tables.Column(verbose_name=gettext_lazy("Transport"))
    row_format = tables.Column(verbose_name=gettext_lazy("Format"))
    address = tables.Column(verbose_name=gettext_lazy("To"), orderable=False, attrs=_BREAKS)
    rows_behind = tables.Column(
        verbose_name=gettext_lazy("Rows behind"), empty_values=(), orderable=False, attrs=_NUMBER
    )
    seconds_behind = tables.Column(
        verbose_name=gettext_lazy("Seconds behind"), empty_values=(), orderable=False, attrs=_NUMBER
    )
    last_success_at = TimeColumn(verbose_name=gettext_lazy("Last success"), attrs=_NOWRAP)
    last_error = tables.Column(verbose_name=gettext_lazy("Last error"), orderable=False, attrs=_BREAKS)

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"destination-{record.pk}",
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_is_enabled(self, record: Any) -> SafeString:
        """Show the state as a badge."""
        return state_badge(record)

    def render_rows_behind(self, record: Any) -> str:
        """Show how many rows wait."""
        return str(intcomma(self.lags[record.pk].rows))

    def render_seconds_behind(self, record: Any) -> str:
        """Show how old the oldest row is that waits."""
        return str(intcomma(int(self.lags[record.pk].seconds)))

    def render_last_error(self, record: Any) -> str:
        """Show the error with hidden characters written out."""
        return visible(record.last_error)
