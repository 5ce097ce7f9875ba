"""Tables of notices, channels and deliveries."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from kmes.ui.tables import ConsoleTable, TimeColumn, worth
from kmes.ui.templatetags.kmes_ui import badge, when
from logging_reports.choices import SEVERITY_COLOURS
from logging_reports.notices import texts
from logging_reports.notices.choices import DELIVERY_COLOURS
from logging_reports.notices.models import Channel, Delivery, Notice
from logging_reports.safe_text import visible

_NOWRAP = {"td": {"class": "text-nowrap"}}
_TEXT = {"td": {"class": "is-text"}}
_BREAKS = {"td": {"class": "text-break"}}
_NUMBER = {"td": {"class": "text-end"}, "th": {"class": "text-end"}}


def _linked_headline(notice: Notice) -> SafeString:
    return format_html('<a href="{}">{}</a>', notice.url, texts.headline(notice))


class NoticeTable(ConsoleTable):
    """A user's notices, each with ``is_read`` and a button that marks it as read."""

    caption = gettext_lazy("Notices")
    saved_as = "notices"
    essential = ("event",)
    counted = ngettext_lazy("%(count)d notice", "%(count)d notices", "count")
    at = TimeColumn(verbose_name=gettext_lazy("Time"), order_by=("at", "pk"), attrs=_NOWRAP)
    severity = tables.Column(verbose_name=gettext_lazy("Severity"), orderable=False)
    topic = tables.Column(verbose_name=gettext_lazy("Topic"), attrs=_TEXT)
    event = tables.Column(verbose_name=gettext_lazy("What"), attrs=_TEXT)
    message = tables.Column(verbose_name=gettext_lazy("Message"), orderable=False, attrs=_BREAKS)
    log_row = tables.Column(
        accessor="sequence", verbose_name=gettext_lazy("Log row"), order_by=("service", "sequence"), attrs=_NOWRAP
    )
    is_read = tables.TemplateColumn(
        template_name="notices/_read.html", verbose_name=gettext_lazy("State"), attrs=_NOWRAP
    )

    class Meta(ConsoleTable.Meta):
        sequence = ("at", "severity", "event", "message", "topic", "log_row", "is_read")
        row_attrs = {
            "id": lambda record: f"notice-{record.pk}",
            "class": lambda record: "" if record.is_read else "is-unread",
            "data-open": lambda record: record.url,
            "tabindex": "0",
        }

    def render_severity(self, record: Notice) -> SafeString:
        """Show the severity as a badge."""
        return badge(record.get_severity_display(), SEVERITY_COLOURS.get(record.severity, "info"))

    def render_event(self, record: Notice) -> SafeString:
        """Show the headline, linked to the page of the notice."""
        return _linked_headline(record)

    def render_message(self, record: Notice) -> str:
        """Show the message with hidden characters written out."""
        return texts.text_of(record)

    def render_log_row(self, record: Notice) -> SafeString:
        """Link to the log row of the notice."""
        address = reverse("logs:detail", args=[record.service, record.sequence])
        return format_html('<a href="{}">{} {}</a>', address, record.get_service_display(), record.sequence)


class ChannelTable(ConsoleTable):
    """The shared channels, each with the number of ``waiting`` and ``failed`` deliveries."""

    caption = gettext_lazy("Channels")
    saved_as = "channels"
    # A channel's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d channel", "%(count)d channels", "count")
    name = tables.Column(verbose_name=gettext_lazy("Name"), linkify=True)
    kind = tables.Column(verbose_name=gettext_lazy("Kind"))
    target = tables.Column(verbose_name=gettext_lazy("To"), empty_values=(), orderable=False, attrs=_BREAKS)
    is_enabled = tables.Column(verbose_name=gettext_lazy("State"), attrs=worth(2))
    waiting = tables.Column(verbose_name=gettext_lazy("Waiting"), attrs=_NUMBER)
    failed = tables.Column(verbose_name=gettext_lazy("Given up in 7 days"), attrs=_NUMBER)
    updated_at = TimeColumn(verbose_name=gettext_lazy("Changed"), attrs=_NOWRAP)

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"channel-{record.pk}",
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_target(self, record: Channel) -> str:
        """Show the URL or the mail addresses."""
        return record.url or ", ".join(record.recipients)

    def render_is_enabled(self, record: Any) -> SafeString:
        """Show whether the channel is in use and whether it works."""
        if not record.is_enabled:
            return badge(_("Not in use"), "neutral")
        return badge(_("Fails"), "bad") if record.failed else badge(_("In use"), "good")


class DeliveryTable(ConsoleTable):
    """The deliveries of one channel."""

    caption = gettext_lazy("Deliveries")
    saved_as = "deliveries"
    essential = ("notice",)
    counted = ngettext_lazy("%(count)d delivery", "%(count)d deliveries", "count")
    notice = tables.Column(verbose_name=gettext_lazy("Notice"), order_by=("notice__event", "-created_at"))
    state = tables.Column(verbose_name=gettext_lazy("State"))
    attempts = tables.Column(verbose_name=gettext_lazy("Tries"), attrs=_NUMBER)
    last_answer = tables.Column(verbose_name=gettext_lazy("Last answer"), attrs=_BREAKS, empty_values=())
    created_at = TimeColumn(verbose_name=gettext_lazy("Asked"), attrs=_NOWRAP)
    finished_at = tables.Column(verbose_name=gettext_lazy("Next try or end"), attrs=_NOWRAP, empty_values=())

    class Meta(ConsoleTable.Meta):
        row_attrs = {"id": lambda record: f"delivery-{record.pk}"}

    def render_notice(self, record: Delivery) -> SafeString:
        """Show the headline, linked to the page of the notice."""
        return _linked_headline(record.notice)

    def render_state(self, record: Delivery) -> SafeString:
        """Show the state as a badge."""
        return badge(record.get_state_display(), DELIVERY_COLOURS.get(record.state, "neutral"))

    def render_last_answer(self, record: Delivery) -> str:
        """Show the receiver's answer with hidden characters written out."""
        return visible(record.last_answer) or "–"

    def render_finished_at(self, record: Delivery) -> SafeString:
        """Show when it ended, or the time of the next try."""
        return when(record.finished_at or record.next_try_at)
