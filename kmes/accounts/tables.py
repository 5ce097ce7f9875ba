"""The lists of users and of sessions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from kmes.accounts.assignments.selectors import ScopedRole, list_scoped_roles
from kmes.accounts.models import ConsoleSession, User
from kmes.accounts.roles.selectors import role_names
from kmes.ui.tables import ConsoleTable, ExactTimeColumn, MenuColumn, PickColumn, TimeColumn, worth
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
    # A user's page shows what doesn't fit.
    drops_columns = True
    counted = ngettext_lazy("%(count)d user", "%(count)d users", "count")
    pick = PickColumn()
    username = tables.Column(verbose_name=gettext_lazy("User name"), linkify=True)
    name = tables.Column(
        accessor="get_full_name", verbose_name=gettext_lazy("Name"), order_by=("last_name", "first_name")
    )
    role = tables.Column(attrs=worth(1))
    is_active = tables.Column(verbose_name=gettext_lazy("Status"), empty_values=(), attrs=worth(2))
    last_login = TimeColumn(verbose_name=gettext_lazy("Last sign-in"), default=gettext_lazy("never"))
    menu = MenuColumn(_actions_url)

    class Meta(ConsoleTable.Meta):
        row_attrs = {
            "id": lambda record: f"user-{record.pk}",
            "data-menu": _actions_url,
            "data-open": lambda record: record.get_absolute_url(),
            "tabindex": "0",
        }

    def render_role(self, value: str, record: User) -> SafeString:
        """Show the name of the role everywhere, and how many roles for a scope the user has besides."""
        name = self._role_names.get(value, value)
        scoped = self._scoped_roles.get(record.pk, [])
        if not scoped:
            return format_html("{}", name)
        told = "; ".join(f"{each.role}: {each.scope}" for each in scoped)
        count = _("+%(count)d for a scope") % {"count": len(scoped)}
        return format_html('{} <span class="text-body-secondary" title="{}">{}</span>', name, told, count)

    @cached_property
    def _role_names(self) -> dict[str, str]:
        return role_names()

    @cached_property
    def _scoped_roles(self) -> dict[int, list[ScopedRole]]:
        """The roles for a scope of all users on the page, by user."""
        found: dict[int, list[ScopedRole]] = defaultdict(list)
        shown = [each for row in self.paginated_rows for each in row.record.scoped_roles]
        for each in list_scoped_roles(shown):
            found[each.assignment.user_id].append(each)
        return found

    def render_is_active(self, record: User) -> SafeString:
        """Show whether the user can sign in."""
        return badge(*state_of(record))


class OwnSessionsTable(ConsoleTable):
    """One row per session of a user; the viewer's own is marked."""

    caption = gettext_lazy("Sessions")
    saved_as = "own_sessions"
    has_views = False
    essential = ("device",)
    counted = ngettext_lazy("%(count)d session", "%(count)d sessions", "count")
    device = tables.Column(empty_values=())
    address = tables.Column(default="–", attrs={"td": {"class": "font-monospace"}})
    began_at = ExactTimeColumn(verbose_name=gettext_lazy("Signed in (UTC)"))
    used_at = TimeColumn()
    menu = tables.Column(verbose_name=gettext_lazy("Action"), empty_values=(), orderable=False)

    class Meta(ConsoleTable.Meta):
        pass

    def __init__(self, *args: Any, own_digest: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_digest = own_digest

    def render_device(self, record: ConsoleSession) -> SafeString:
        """Show the device, and whether this is it."""
        mark = format_html(" {}", badge(_("This session"), "info")) if record.digest == self.own_digest else ""
        return format_html("{}{}", record.device or _("Unknown"), mark)

    def render_menu(self, record: ConsoleSession) -> SafeString:
        """Show the link that ends the session."""
        return format_html(
            '<a class="btn btn-sm btn-outline-secondary" href="{}" data-dialog>{}<span class="visually-hidden"> {}</span></a>',
            reverse("accounts:end_session", args=[record.name]),
            _("End session"),
            record,
        )


class AllSessionsTable(OwnSessionsTable):
    """One row per session of any user."""

    saved_as = "sessions"
    essential = ("user",)
    user = tables.Column(verbose_name=gettext_lazy("User"), linkify=True, order_by="user__username")

    class Meta(ConsoleTable.Meta):
        sequence = ("user", "device", "address", "began_at", "used_at", "menu")
