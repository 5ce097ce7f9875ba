"""The table of requests for approval."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from jobs.approvals.models import ApprovalRequest
from jobs.approvals.selectors import describe_state
from jobs.engine.approval_requests import requirements_in
from kmes.ui.tables import ConsoleTable, ExactTimeColumn, PickColumn, worth
from kmes.ui.templatetags.kmes_ui import badge

_NOWRAP = {"td": {"class": "text-nowrap"}}


class RequestTable(ConsoleTable):
    """Requests, newest first; a row opens on Enter or double click."""

    caption = _("Requests for approval")
    saved_as = "approvals"
    essential = ("code",)
    # A request's page shows what doesn't fit.
    drops_columns = True
    has_views = False
    counted = ngettext_lazy("%(count)d request", "%(count)d requests", "count")
    pick = PickColumn()
    code = tables.Column(verbose_name=_("ID"), accessor="job__code", orderable=False, attrs=_NOWRAP)
    title = tables.Column(verbose_name=_("What"), empty_values=(), orderable=False, attrs=worth(2, css="text-break"))
    state = tables.Column(verbose_name=_("Status"), empty_values=(), orderable=False, attrs=worth(3))
    given = tables.Column(verbose_name=_("Approvals"), orderable=False, attrs=worth(1))
    actor_name = tables.Column(verbose_name=_("Requested by"), accessor="job__actor_name", attrs=_NOWRAP)
    reason = tables.Column(verbose_name=_("Reason"), orderable=False, attrs=worth(0, css="text-break"))
    requested_at = ExactTimeColumn(verbose_name=_("Requested (UTC)"))
    expires_at = ExactTimeColumn(verbose_name=_("Expires (UTC)"))

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"row-{record.job.code}",
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_code(self, record: ApprovalRequest) -> SafeString:
        """Link the request by its job's number."""
        return format_html('<a class="font-monospace" href="{}">{}</a>', record.get_absolute_url(), record.job)

    def render_title(self, record: ApprovalRequest) -> str:
        """Show what the plan is called."""
        return str(record.plan.get("title", ""))

    def render_state(self, record: ApprovalRequest) -> SafeString:
        """Show how it stands as a badge."""
        return badge(*describe_state(record))

    def render_given(self, value: int, record: Any) -> str:
        """Show how many approvals of how many there are."""
        wanted = max((each.approvals for each in requirements_in(record)), default=0)
        return str(_("%(given)d of %(wanted)d") % {"given": value, "wanted": wanted})
