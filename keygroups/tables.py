"""The table of keys."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.db.models import F, Max, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from keygroups.choices import STATE_COLOURS
from keygroups.models import Key
from keygroups.selectors import version_shown
from kmes.ui.tables import ConsoleTable, MenuColumn, StateColumn, TimeColumn
from kmes.ui.templatetags.kmes_ui import badge, cut, when


def _actions_url(record: Key) -> str:
    # The parameter's name tells django-tables2 what to pass.
    return reverse("keygroups:key_actions", args=[record.pk])


class KeyTable(ConsoleTable):
    """Keys with their state here and in Azure, as last known."""

    caption = _("Keys")  # type: ignore[assignment]

    pick = tables.Column(
        verbose_name=format_html('<span class="visually-hidden">{}</span>', _("Select")),
        empty_values=(),
        orderable=False,
        attrs={"td": {"class": "pick-cell"}, "th": {"class": "pick-cell"}},
    )
    name = tables.Column(verbose_name=_("Name"), linkify=True)
    group = tables.Column(verbose_name=_("Key group"), linkify=True, order_by="group__name")
    key_spec = tables.Column(verbose_name=_("Type"))
    state = StateColumn(verbose_name=_("Here"), colours=STATE_COLOURS)
    cloud_state = tables.Column(verbose_name=_("In Azure"), empty_values=(), orderable=False)
    azure_version = tables.Column(verbose_name=_("Azure version"), empty_values=(), orderable=False)
    created_at = TimeColumn(verbose_name=_("Created"))
    pushed = tables.Column(verbose_name=_("Pushed"), empty_values=())
    expires = tables.Column(verbose_name=_("Expires"), empty_values=())
    menu = MenuColumn(_actions_url)

    class Meta(ConsoleTable.Meta):
        model = Key
        fields = ("name", "group", "key_spec", "state", "created_at")
        sequence = (
            "pick",
            "name",
            "group",
            "key_spec",
            "state",
            "cloud_state",
            "azure_version",
            "created_at",
            "pushed",
            "expires",
            "menu",
        )
        row_attrs = {
            "data-menu": _actions_url,
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_pick(self, record: Key) -> SafeString:
        """Show the box that picks the key for a job on several."""
        return format_html(
            '<input type="checkbox" class="form-check-input" name="key" value="{}" aria-label="{}">',
            record.pk,
            _("Select %(name)s") % {"name": record.name},
        )

    def render_cloud_state(self, record: Key) -> SafeString:
        """Show what became of the key in the vault."""
        version = version_shown(record)
        if version is None:
            return badge(_("Not synchronized"), "neutral")
        return badge(version.get_state_display(), STATE_COLOURS[version.state])

    def render_azure_version(self, record: Key) -> SafeString:
        """Show the version's id, cut in the middle."""
        version = version_shown(record)
        return cut(version.azure_version) if version and version.azure_version else _empty()

    def render_pushed(self, record: Key) -> SafeString:
        """Show when the vault got the key."""
        version = version_shown(record)
        return when(version.pushed_at if version else None)

    def render_expires(self, record: Key) -> SafeString:
        """Show when the version ends in the vault."""
        version = version_shown(record)
        return when(version.expires_at if version else None)

    def order_pushed(self, keys: QuerySet[Key], is_descending: bool) -> tuple[QuerySet[Any], bool]:  # noqa: FBT001
        """Sort by the newest push."""
        return _by_newest(keys, "pushed_at", descending=is_descending), True

    def order_expires(self, keys: QuerySet[Key], is_descending: bool) -> tuple[QuerySet[Any], bool]:  # noqa: FBT001
        """Sort by the latest end."""
        return _by_newest(keys, "expires_at", descending=is_descending), True


def _empty() -> SafeString:
    return when(None)


def _by_newest(keys: QuerySet[Key], moment: str, *, descending: bool) -> QuerySet[Any]:
    newest = F("newest")
    order = newest.desc(nulls_last=True) if descending else newest.asc(nulls_last=True)
    return keys.annotate(newest=Max(f"cloud_versions__{moment}")).order_by(order, "name")
