"""The table of keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import django_tables2 as tables
from django.db.models import Exists, F, Max, OuterRef, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from keygroups.choices import STATE_COLOURS, VersionState
from keygroups.key_jobs import KeyJobs
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.states import in_vault, key_in_vault, version_shown
from kmes.core.row_urls import row_url
from kmes.ui.tables import ConsoleTable, MenuColumn, PickColumn, StateColumn
from kmes.ui.templatetags.kmes_ui import badge, cut, cut_to_width, when


def _actions_url(record: Key) -> str:
    # django-tables2 passes arguments by the names of the parameters.
    return row_url("keygroups:key_actions", record.pk)


# Each row has one line. Columns that don't fit are shown by the inspector instead (tables.js).
_ONE_LINE = {"td": {"class": "text-nowrap"}}
# Of a long name, so much that the other columns keep their room (app.css).
_CUT_LINE = {"td": {"class": "text-nowrap is-text"}}
# A page of paper is too narrow for all of them.
_ON_SCREEN = {"td": {"class": "text-nowrap screen-only"}, "th": {"class": "screen-only"}}


class KeyTable(ConsoleTable):
    """Keys with their state here and in Azure, as last known."""

    caption = _("Keys")
    saved_as = "keys"
    drops_columns = True
    counted = ngettext_lazy("%(count)d key", "%(count)d keys", "count")

    pick = PickColumn()
    name = tables.Column(verbose_name=_("Name"), linkify=True, attrs={"td": {"class": "text-nowrap name-cell"}})
    group = tables.Column(verbose_name=_("Key group"), linkify=True, order_by="group__name", attrs=_CUT_LINE)
    key_spec = tables.Column(verbose_name=_("Type"), attrs=_ONE_LINE)
    state = StateColumn(verbose_name=_("Here"), colours=STATE_COLOURS, attrs=_ONE_LINE)
    cloud_state = tables.Column(verbose_name=_("In Azure"), empty_values=(), attrs=_ONE_LINE)
    azure_version = tables.Column(verbose_name=_("Azure version"), empty_values=(), orderable=False, attrs=_ONE_LINE)
    created_at = tables.Column(verbose_name=_("Created"), attrs=_ONE_LINE)
    pushed = tables.Column(verbose_name=_("Pushed"), empty_values=(), attrs=_ONE_LINE)
    expires = tables.Column(verbose_name=_("Expires"), empty_values=(), attrs=_ONE_LINE)
    last_job = tables.Column(verbose_name=_("Last job"), empty_values=(), orderable=False, attrs=_ON_SCREEN)
    menu = MenuColumn(_actions_url)

    # The jobs of the shown keys, by key. The view loads them once per page.
    key_jobs: dict[UUID, KeyJobs]
    # Whether the active key stays above the others, whatever the table is sorted by.
    pins_active = False

    class Meta(ConsoleTable.Meta):
        model = Key
        fields = ("name", "group", "key_spec", "state", "created_at")
        sequence = (
            "pick",
            "name",
            "group",
            "cloud_state",
            "state",
            "azure_version",
            "expires",
            "pushed",
            "created_at",
            "key_spec",
            "last_job",
            "menu",
        )
        row_attrs = {
            # Keeps the focus on its row when the table is refreshed.
            "id": lambda record: f"key-{record.pk}",
            "data-menu": _actions_url,
            "data-open": lambda record: record.get_absolute_url(),
            "data-inspect": lambda record: row_url("keygroups:key_inspector", record.pk),
            "class": lambda record, table: "is-pinned" if table.is_pinned(record) else None,
            "tabindex": "0",
        }

    def is_pinned(self, key: Key) -> bool:
        """Return whether a key stays above the others."""
        version = version_shown(key) if self.pins_active else None
        return version is not None and version.state == VersionState.ACTIVE

    def paginate(self, *args: Any, **kwargs: Any) -> Any:
        """Choose the rows of the page, the active key first where it is pinned."""
        if self.pins_active:
            rows = self.data.data
            is_active = Exists(CloudVersion.objects.filter(key=OuterRef("pk"), state=VersionState.ACTIVE))
            self.data.data = rows.alias(is_active=is_active).order_by("-is_active", *rows.query.order_by)
        return super().paginate(*args, **kwargs)

    def render_name(self, value: str) -> SafeString:
        """Show a long name cut in the middle, by the width there is: rotated keys differ at the end only."""
        return cut_to_width(value)

    def render_group(self, value: KeyGroup) -> SafeString:
        """Show a long name cut in the middle."""
        return cut_to_width(value)

    def render_created_at(self, value: datetime) -> SafeString:
        """Show the day, with the second in the title."""
        return _day(value)

    def render_cloud_state(self, record: Key) -> SafeString:
        """Show the state of the key in the vault."""
        shown = in_vault(record)
        return badge(shown.label, shown.colour)

    def render_azure_version(self, record: Key) -> SafeString:
        """Show the version's id, cut in the middle."""
        version = version_shown(record)
        return cut(version.azure_version) if version and version.azure_version else _day(None)

    def render_pushed(self, record: Key) -> SafeString:
        """Show when the key was pushed."""
        version = version_shown(record)
        return _day(version.pushed_at if version else None)

    def render_expires(self, record: Key) -> SafeString:
        """Show when the version expires."""
        version = version_shown(record)
        return _day(version.expires_at if version else None)

    def render_last_job(self, record: Key) -> SafeString:
        """Link the key's last job, with its state."""
        known = self.key_jobs.get(record.pk)
        if known is None or known.last is None:
            return _day(None)
        job = known.last
        link = format_html('<a class="font-monospace" href="{}" title="{}">{}</a>', job.url, job.title, job.name)
        return format_html("{} {}", link, badge(job.state, job.colour))

    def order_cloud_state(self, keys: QuerySet[Key], is_descending: bool) -> tuple[QuerySet[Any], bool]:  # noqa: FBT001
        """Sort by the state in the vault."""
        sign = "-" if is_descending else ""
        return keys.alias(shown_in_vault=key_in_vault()).order_by(f"{sign}shown_in_vault", "name"), True

    def order_pushed(self, keys: QuerySet[Key], is_descending: bool) -> tuple[QuerySet[Any], bool]:  # noqa: FBT001
        """Sort by the newest push."""
        return _by_newest(keys, "pushed_at", descending=is_descending), True

    def order_expires(self, keys: QuerySet[Key], is_descending: bool) -> tuple[QuerySet[Any], bool]:  # noqa: FBT001
        """Sort by the latest expiry."""
        return _by_newest(keys, "expires_at", descending=is_descending), True


def _day(moment: datetime | None) -> SafeString:
    """Show a moment as its day, because a row has three of them."""
    if moment is None:
        return when(None)
    stamp = f"{moment:%Y-%m-%d %H:%M:%S}"
    return format_html('<time datetime="{}" title="{} UTC">{}</time>', moment.isoformat(), stamp, stamp[:10])


def _by_newest(keys: QuerySet[Key], moment: str, *, descending: bool) -> QuerySet[Any]:
    newest = F("newest")
    order = newest.desc(nulls_last=True) if descending else newest.asc(nulls_last=True)
    return keys.annotate(newest=Max(f"cloud_versions__{moment}")).order_by(order, "name")
