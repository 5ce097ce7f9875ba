"""Reports about keys: how old they are, and what expires. Reads only; a few queries each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import CharField, Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cloudcreds.models import CloudCredential
from keygroups.choices import KeyState, VersionState
from keygroups.models import CloudVersion, Key, group_url
from keygroups.states import VERSION_STATES, key_in_vault
from kmes.core.clock import now
from kmes.ui.pictures import Bar
from logging_reports.reports.definitions import Answer, Column, Kind, Report, Row, State
from logging_reports.reports.forms import ReportForm, search_field
from logging_reports.reports.registry import register

# Ages in days: name in the address, label, from, below, tone.
AGES: tuple[tuple[str, Any, int, int | None, str], ...] = (
    ("30", gettext_lazy("Under 30 days"), 0, 30, "good"),
    ("90", gettext_lazy("30 to 89 days"), 30, 90, "good"),
    ("180", gettext_lazy("90 to 179 days"), 90, 180, "info"),
    ("365", gettext_lazy("180 to 364 days"), 180, 365, "warning"),
    ("older", gettext_lazy("A year and older"), 365, None, "bad"),
)
IN_VAULT = {value: State(shown.label, shown.colour) for value, shown in VERSION_STATES.items()}
DEFAULT_WITHIN = 90
VERSION, SECRET = "version", "secret"
KINDS = {
    VERSION: State(gettext_lazy("Key version"), "neutral"),
    SECRET: State(gettext_lazy("Secret or certificate"), "neutral"),
}


# --- Key age ---------------------------------------------------------------------------------
class KeyAgeForm(ReportForm):
    """Which keys: by age, by state in the vault, by name."""

    age = forms.ChoiceField(
        label=gettext_lazy("Age"),
        choices=[("", gettext_lazy("Any")), *[(name, label) for name, label, *_rest in AGES]],
        required=False,
    )
    state = forms.ChoiceField(
        label=gettext_lazy("In the vault"),
        choices=[("", gettext_lazy("Any")), (VersionState.ACTIVE.value, gettext_lazy("Active only"))],
        required=False,
    )
    q = search_field(gettext_lazy("Part of a key's or group's name"))


def _aged(first: int, below: int | None) -> Q:
    """Return the condition for keys at least ``first`` and less than ``below`` days old."""
    moment = now()
    condition = Q(created_at__lte=moment - timedelta(days=first)) if first else Q()
    return condition & Q(created_at__gt=moment - timedelta(days=below)) if below else condition


def count_ages(keys: QuerySet[Key]) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bars of the keys' ages, and ``total`` and ``oldest`` (None without keys). One query."""
    counts = {f"age_{name}": Count("pk", filter=_aged(first, below)) for name, _l, first, below, _t in AGES}
    found = keys.order_by().aggregate(total=Count("pk"), oldest=Min("created_at"), **counts)
    return [Bar(label, found[f"age_{name}"], tone) for name, label, _first, _below, tone in AGES], found


def present_keys() -> QuerySet[Key]:
    """Return the keys whose material is here."""
    return Key.objects.filter(state=KeyState.PRESENT)


def answer_key_age(filters: dict[str, Any]) -> Answer:
    """Report how old the present keys are. One query and the page's."""
    keys = present_keys()
    if filters["q"]:
        keys = keys.filter(Q(name__icontains=filters["q"]) | Q(group__name__icontains=filters["q"]))
    if filters["age"]:
        _name, _label, first, below, _tone = next(age for age in AGES if age[0] == filters["age"])
        keys = keys.filter(_aged(first, below))
    if filters["state"]:
        active = CloudVersion.objects.filter(state=filters["state"])
        keys = keys.filter(pk__in=active.values("key"))
    bars, found = count_ages(keys)
    rows = keys.order_by("created_at", "name").values("id", "name", "key_spec", "created_at", "created_by", "group_id")
    rows = rows.annotate(group_name=F("group__name"), vault=F("group__vault__name"), in_vault=key_in_vault())
    return Answer(_age_sentence(found), bars, rows)


def _days_since(moment: datetime) -> int:
    return max(0, (now() - moment).days)


def _age_sentence(found: dict[str, Any]) -> str:
    if not found["total"]:
        return _("No keys yet.")
    text = ngettext(
        "%(total)s key is here; it is %(days)s days old.",
        "%(total)s keys are here; the oldest is %(days)s days old. A year old or older: %(old)s.",
        found["total"],
    )
    return text % {
        "total": intcomma(found["total"]),
        "days": intcomma(_days_since(found["oldest"])),
        "old": intcomma(found["age_older"]),
    }


def _key_url(row: Row) -> str:
    return reverse("keygroups:key_detail", args=[row["id"]])


def _group_url(row: Row) -> str:
    return group_url(row["group_id"])


KEY_AGE = Report(
    name="key-age",
    title=gettext_lazy("Key age"),
    description=gettext_lazy("How old the keys made here are, oldest first."),
    chart_title=gettext_lazy("Keys by age"),
    form=KeyAgeForm,
    order=10,
    nothing=gettext_lazy("No key was made yet. Make one under Key Management > Keys."),
    answer=answer_key_age,
    columns=(
        Column(name="name", label=gettext_lazy("Key"), order_by=("name",), link=_key_url),
        Column(name="group_name", label=gettext_lazy("Key group"), order_by=("group_name", "name"), link=_group_url),
        Column(name="vault", label=gettext_lazy("Key Vault"), order_by=("vault", "name")),
        Column(name="key_spec", label=gettext_lazy("Type"), order_by=("key_spec", "name")),
        Column(
            name="age_days",
            label=gettext_lazy("Age in days"),
            kind=Kind.NUMBER,
            value=lambda row: _days_since(row["created_at"]),
            # Sorted by age, the older key has the earlier day.
            order_by=("-created_at", "name"),
        ),
        Column(name="created_at", label=gettext_lazy("Created"), kind=Kind.MOMENT, order_by=("created_at", "name")),
        Column(name="created_by", label=gettext_lazy("Created by"), order_by=("created_by", "name")),
        Column(name="in_vault", label=gettext_lazy("In the vault"), kind=Kind.STATE, states=IN_VAULT),
    ),
)


# --- Expiring --------------------------------------------------------------------------------
class ExpiringForm(ReportForm):
    """How far ahead, and of what."""

    within = forms.ChoiceField(
        label=gettext_lazy("Within"),
        choices=[
            ("", gettext_lazy("90 days")),
            ("60", gettext_lazy("60 days")),
            ("30", gettext_lazy("30 days")),
        ],
        required=False,
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=[("", gettext_lazy("Any")), *[(name, kind.label) for name, kind in KINDS.items()]],
        required=False,
    )
    q = search_field(gettext_lazy("Part of a key's, group's or credential's name"))


def answer_expiring(filters: dict[str, Any]) -> Answer:
    """Report what expires: active versions, and the secrets and certificates of credentials. Two queries and the page's."""
    within, today = int(filters["within"] or DEFAULT_WITHIN), now().date()
    # Superseded versions expire by intention.
    versions = CloudVersion.objects.filter(state=VersionState.ACTIVE, expires_at__lt=_end_of(today, within))
    secrets = CloudCredential.objects.filter(sign_in_expires_on__lte=today + timedelta(days=within))
    if filters["q"]:
        text = filters["q"]
        versions = versions.filter(Q(key__name__icontains=text) | Q(group__name__icontains=text))
        secrets = secrets.filter(name__icontains=text)
    versions = versions if filters["kind"] in {"", VERSION} else versions.none()
    secrets = secrets if filters["kind"] in {"", SECRET} else secrets.none()
    bars = _count_expiries(versions, secrets, today)
    rows = _expiring_versions(versions).union(_expiring_secrets(secrets), all=True).order_by("expires_on", "title")
    return Answer(_expiry_sentence(bars, within), bars, rows)


def _end_of(today: date, days: int) -> datetime:
    """Return the first moment after the day that lies ``days`` after today, in UTC."""
    return datetime.combine(today + timedelta(days=days + 1), time(), UTC)


def _expiring_versions(versions: QuerySet[CloudVersion]) -> QuerySet[Any, Any]:
    rows = versions.order_by().values(kind=Value(VERSION, CharField()), object_id=F("key_id"), title=F("key__name"))
    return rows.annotate(
        place=F("group__name"), expires_on=TruncDate("expires_at", tzinfo=UTC), detail=F("azure_version")
    )


def _expiring_secrets(secrets: QuerySet[CloudCredential]) -> QuerySet[Any, Any]:
    rows = secrets.order_by().values(kind=Value(SECRET, CharField()), object_id=F("id"), title=F("name"))
    return rows.annotate(place=F("tenant_id"), expires_on=F("sign_in_expires_on"), detail=F("client_id"))


def _count_expiries(versions: QuerySet[CloudVersion], secrets: QuerySet[CloudCredential], today: date) -> list[Bar]:
    limits: Sequence[tuple[str, int | None, int | None]] = (
        ("over", None, -1),
        ("30", 0, 30),
        ("60", 31, 60),
        ("90", 61, 90),
    )
    of_versions, of_secrets = {}, {}
    for name, first, last in limits:
        late, early = Q(), Q()
        if last is not None:
            late, early = Q(expires_at__lt=_end_of(today, last)), Q(sign_in_expires_on__lte=today + timedelta(last))
        if first is not None:
            late &= Q(expires_at__gte=_end_of(today, first - 1))
            early &= Q(sign_in_expires_on__gte=today + timedelta(first))
        of_versions[f"within_{name}"] = Count("pk", filter=late)
        of_secrets[f"within_{name}"] = Count("pk", filter=early)
    # Django answers an empty query itself, with None instead of 0.
    one, other = versions.order_by().aggregate(**of_versions), secrets.order_by().aggregate(**of_secrets)
    counts = {name: (one[name] or 0) + (other[name] or 0) for name in of_versions}
    return [
        Bar(gettext_lazy("Expired"), counts["within_over"], "bad"),
        Bar(gettext_lazy("Within 30 days"), counts["within_30"], "warning"),
        Bar(gettext_lazy("31 to 60 days"), counts["within_60"], "info"),
        Bar(gettext_lazy("61 to 90 days"), counts["within_90"], "neutral"),
    ]


def _expiry_sentence(bars: Sequence[Bar], within: int) -> str:
    expired, coming = bars[0].count, sum(bar.count for bar in bars[1:])
    if not expired and not coming:
        return _("Nothing expires within %(days)d days.") % {"days": within}
    text = ngettext(
        "%(coming)d active version, secret or certificate expires within %(days)d days. Already expired: %(expired)d.",
        "%(coming)d active versions, secrets and certificates expire within %(days)d days. Already expired: %(expired)d.",
        coming,
    )
    return text % {"coming": coming, "days": within, "expired": expired}


def _object_url(row: Row) -> str:
    view = "keygroups:key_detail" if row["kind"] == VERSION else "cloudcreds:detail"
    return reverse(view, args=[row["object_id"]])


EXPIRING = Report(
    name="expiring",
    title=gettext_lazy("Expiring soon"),
    description=gettext_lazy("Active key versions, client secrets and certificates that end within 30, 60 or 90 days."),
    chart_title=gettext_lazy("What expires when"),
    form=ExpiringForm,
    order=30,
    nothing=gettext_lazy("No active version, client secret or certificate ends in this time."),
    answer=answer_expiring,
    columns=(
        Column(name="title", label=gettext_lazy("Name"), order_by=("title",), link=_object_url),
        Column(name="kind", label=gettext_lazy("What"), kind=Kind.STATE, states=KINDS, order_by=("kind", "title")),
        Column(name="place", label=gettext_lazy("Key group or tenant"), order_by=("place", "title")),
        Column(name="detail", label=gettext_lazy("Version or client"), kind=Kind.CODE),
        Column(name="expires_on", label=gettext_lazy("Expires"), kind=Kind.DAY, order_by=("expires_on", "title")),
        Column(
            name="days_left",
            label=gettext_lazy("Days left"),
            kind=Kind.NUMBER,
            value=lambda row: (row["expires_on"] - now().date()).days,
            order_by=("expires_on", "title"),
        ),
    ),
)


def register_all() -> None:
    """Register the reports of this app."""
    register(KEY_AGE, EXPIRING)
