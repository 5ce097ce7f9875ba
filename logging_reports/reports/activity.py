"""The report "Activity by user": counts the rows of the Audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import Count, Max, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from kmes.core import clock
from kmes.core.actor import Trigger
from kmes.ui.pictures import Bar
from logging_reports.choices import Category, Service, Severity
from logging_reports.models import LogEntry
from logging_reports.reports.definitions import Answer, Column, Kind, Report, Row
from logging_reports.reports.forms import ReportForm, search_field

DEFAULT_DAYS = 30
BARS = 10
_RANGES = [
    ("", gettext_lazy("Last 30 days")),
    ("1", gettext_lazy("Last 24 hours")),
    ("7", gettext_lazy("Last 7 days")),
    ("90", gettext_lazy("Last 90 days")),
    ("365", gettext_lazy("Last 365 days")),
]
_TRIGGERS = {
    Trigger.USER.value: gettext_lazy("User"),
    Trigger.API.value: gettext_lazy("API"),
    Trigger.SCHEDULE.value: gettext_lazy("Schedule"),
    Trigger.SYSTEM.value: gettext_lazy("System"),
}
_PEOPLE, _EVERYTHING = "", "all"


class ActivityForm(ReportForm):
    """The period, and whether actions of the schedule and the system count."""

    days = forms.ChoiceField(label=gettext_lazy("Time"), choices=_RANGES, required=False)
    who = forms.ChoiceField(
        label=gettext_lazy("Who"),
        choices=[
            (_PEOPLE, gettext_lazy("People and API clients")),
            (_EVERYTHING, gettext_lazy("Also schedule and system")),
        ],
        required=False,
    )
    q = search_field(gettext_lazy("Part of a name"))


def answer_activity(filters: dict[str, Any]) -> Answer:
    """Count each actor's rows of the Audit log in the period. One query reads the period, which may hold millions of rows.

    The page takes its rows from the same answer, unless it sorts them otherwise.
    """
    days = int(filters["days"] or DEFAULT_DAYS)
    entries = LogEntry.objects.filter(service=Service.AUDIT, at__gte=clock.now() - timedelta(days=days))
    if filters["who"] != _EVERYTHING:
        entries = entries.filter(actor_trigger__in=[Trigger.USER, Trigger.API])
    if filters["q"]:
        entries = entries.filter(actor_name__icontains=filters["q"])
    rows: QuerySet[Any, Any] = entries.order_by().values("actor_name", "actor_trigger").annotate(**_counts())
    rows = rows.order_by("-actions", "actor_name")
    counted = list(rows)
    users, actions = len({row["actor_name"] for row in counted}), sum(row["actions"] for row in counted)
    bars = [Bar(row["actor_name"], row["actions"]) for row in counted[:BARS]]
    return Answer(_sentence(users, actions, days), bars, rows)


def _sentence(users: int, actions: int, days: int) -> str:
    if not users:
        return _("No activity in the last %(days)d days.") % {"days": days}
    by = ngettext("%(count)s user", "%(count)s users", users) % {"count": f"{users:,}"}
    text = ngettext(
        "%(actions)s action by %(users)s in the last %(days)d days.",
        "%(actions)s actions by %(users)s in the last %(days)d days.",
        actions,
    )
    return text % {"users": by, "actions": f"{actions:,}", "days": days}


def _counts() -> dict[str, Any]:
    failed = Q(event__in=["access.login_failed", "access.refused"])
    return {
        "actions": Count("pk"),
        "sign_ins": Count("pk", filter=Q(event="access.login")),
        "refusals": Count("pk", filter=failed),
        "jobs": Count("pk", filter=Q(event="job.requested")),
        "keys": Count("pk", filter=Q(category=Category.KEYS)),
        "settings": Count("pk", filter=Q(category=Category.CONFIGURATION)),
        "exports": Count("pk", filter=Q(category=Category.EXPORT)),
        "errors": Count("pk", filter=Q(severity=Severity.ERROR)),
        "last_at": Max("at"),
    }


def _log_url(row: Row) -> str:
    return f"{reverse('logs:list')}?{urlencode({'service': 'audit', 'actor': row['actor_name']})}"


def _number(name: str, label: object) -> Column:
    return Column(name=name, label=label, kind=Kind.NUMBER, order_by=(name, "actor_name"))  # type: ignore[arg-type]


ACTIVITY = Report(
    name="activity",
    title=gettext_lazy("Activity by user"),
    description=gettext_lazy("Sign-ins, jobs, changes to keys and settings, and exports of each user."),
    chart_title=gettext_lazy("Actions by user"),
    form=ActivityForm,
    right="log.read",
    order=40,
    nothing=gettext_lazy("The Audit log has no rows of this time."),
    answer=answer_activity,
    columns=(
        Column(name="actor_name", label=gettext_lazy("User"), order_by=("actor_name",), link=_log_url),
        Column(
            name="actor_trigger",
            label=gettext_lazy("Trigger"),
            value=lambda row: _TRIGGERS.get(row["actor_trigger"], row["actor_trigger"]),
        ),
        _number("actions", gettext_lazy("Actions")),
        _number("sign_ins", gettext_lazy("Sign-ins")),
        _number("refusals", gettext_lazy("Refused")),
        _number("jobs", gettext_lazy("Jobs")),
        _number("keys", gettext_lazy("Keys and groups")),
        _number("settings", gettext_lazy("Settings")),
        _number("exports", gettext_lazy("Exports")),
        _number("errors", gettext_lazy("Critical")),
        Column(name="last_at", label=gettext_lazy("Last active"), kind=Kind.MOMENT, order_by=("last_at", "actor_name")),
    ),
)
