"""The list of users."""

from __future__ import annotations

import django_tables2 as tables
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from kmes.accounts.models import User
from kmes.ui.tables import ConsoleTable, MenuColumn, TimeColumn
from kmes.ui.templatetags.kmes_ui import badge


def _actions_url(record: User) -> str:
    # django-tables2 passes the row by this parameter's name.
    return reverse("accounts:user_actions", args=[record.pk])


def state_of(user: User) -> tuple[str, str]:
    """Return the word and colour of a user's state."""
    if not user.is_active:
        return _("Deactivated"), "neutral"
    if user.must_change_password:
        return _("One-time password"), "warning"
    return _("Active"), "good"


class UserTable(ConsoleTable):
    """One row per user."""

    caption = gettext_lazy("Users")
    saved_as = "users"
    essential = ("username",)
    counted = ngettext_lazy("%(count)d user", "%(count)d users", "count")
    username = tables.Column(verbose_name=gettext_lazy("User name"), linkify=True)
    name = tables.Column(
        accessor="get_full_name", verbose_name=gettext_lazy("Name"), order_by=("last_name", "first_name")
    )
    role = tables.Column()
    is_active = tables.Column(verbose_name=gettext_lazy("Status"), empty_values=())
    last_login = TimeColumn(verbose_name=gettext_lazy("Last sign-in"), default=gettext_lazy("never"))
    menu = MenuColumn(_actions_url)

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"user-{record.pk}",
            "data-menu": _actions_url,
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_is_active(self, record: User) -> SafeString:
        """Show whether the user can sign in."""
        return badge(*state_of(record))
