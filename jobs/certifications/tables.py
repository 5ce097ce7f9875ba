"""The table of self-certifications."""

from __future__ import annotations

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from jobs.certifications.models import Certification
from jobs.choices import STATE_COLOURS
from kmes.ui.tables import ConsoleTable, ExactTimeColumn, worth
from kmes.ui.templatetags.kmes_ui import badge

_NOWRAP = {"td": {"class": "text-nowrap"}}


class CertificationTable(ConsoleTable):
    """Runs, newest first; a row opens on Enter or double click."""

    caption = _("Runs")
    saved_as = "certifications"
    essential = ("code",)
    # A run's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d run", "%(count)d runs", "count")
    code = tables.Column(verbose_name=_("Number"), orderable=False, attrs=_NOWRAP)
    state = tables.Column(verbose_name=_("Result"), attrs=worth(2))
    vault_name = tables.Column(verbose_name=_("Key Vault"), attrs=worth(1))
    key_spec = tables.Column(verbose_name=_("Key Length"), attrs=_NOWRAP)
    actor_name = tables.Column(verbose_name=_("Asked for by"))
    created_at = ExactTimeColumn(verbose_name=_("Begun (UTC)"))
    finished_at = ExactTimeColumn(verbose_name=_("Ended (UTC)"))

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"row-{record}",
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_code(self, record: Certification) -> SafeString:
        """Link the run by its number."""
        return format_html('<a class="font-monospace" href="{}">{}</a>', record.get_absolute_url(), record)

    def render_state(self, record: Certification) -> SafeString:
        """Show the result as a badge."""
        return badge(record.get_state_display(), STATE_COLOURS[record.state])
