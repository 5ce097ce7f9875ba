"""The list of cloud credentials."""

from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from cloudcreds.choices import SHORT_WAYS, SignIn
from cloudcreds.models import CloudCredential
from cloudcreds.selectors import describe_sign_in_expiry
from kmes.ui.tables import ConsoleTable, MenuColumn, worth
from kmes.ui.templatetags.kmes_ui import badge, cut, when


def _actions_url(record: CloudCredential) -> str:
    # The table passes a row only to a parameter of this name.
    return reverse("cloudcreds:actions", args=[record.pk])


class CredentialTable(ConsoleTable):
    """One row per credential; of the secret only its expiry shows."""

    caption = gettext_lazy("Cloud credentials")
    saved_as = "credentials"
    # A credential's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d credential", "%(count)d credentials", "count")
    name = tables.Column(linkify=True)
    cloud = tables.Column()
    tenant_id = tables.Column()
    client_id = tables.Column()
    sign_in_expires_on = tables.Column(verbose_name=gettext_lazy("Sign-in"), empty_values=(), attrs=worth(2))
    last_test_ok = tables.Column(verbose_name=gettext_lazy("Last test"), empty_values=(), attrs=worth(3))
    groups = tables.Column(verbose_name=gettext_lazy("Key groups"), empty_values=(), orderable=False, attrs=worth(1))
    menu = MenuColumn(_actions_url)

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"credential-{record.pk}",
            "data-menu": _actions_url,
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_tenant_id(self, value: str) -> SafeString:
        """Shorten a GUID in the middle."""
        return cut(value)

    def render_client_id(self, value: str) -> SafeString:
        """Shorten a GUID in the middle."""
        return cut(value)

    def render_sign_in_expires_on(self, record: CloudCredential) -> SafeString:
        """Show what it signs in with, and how long that is still valid."""
        expiry = describe_sign_in_expiry(record)
        return format_html("{} {}", SHORT_WAYS[SignIn(record.sign_in)], badge(expiry.text, expiry.colour))

    def render_last_test_ok(self, record: CloudCredential) -> SafeString:
        """Show the result of the last connection test, and its time."""
        words: dict[Any, tuple[str, str]] = {
            True: (_("passed"), "good"),
            False: (_("failed"), "bad"),
            None: (_("never tested"), "neutral"),
        }
        if record.last_tested_at is None:
            return badge(*words[None])
        if record.last_test_ok is None:
            return badge(_("not finished"), "info")
        return format_html("{} {}", badge(*words[record.last_test_ok]), when(record.last_tested_at))

    def render_groups(self, record: CloudCredential) -> SafeString:
        """Show the number of key groups that use the credential."""
        return format_html("{}", record.group_count)  # type: ignore[attr-defined]
