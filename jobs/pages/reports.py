"""Reports about work: how well rotation policies are kept, and what lies in vaults that nobody here made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs.choices import SUCCEEDED_STATES
from jobs.kinds.check_drift import spec as check_drift
from jobs.models import Job
from keygroups.choices import PeriodUnit, RotationStanding
from keygroups.models import KeyGroup, Observation, group_url
from keygroups.rotation_standing import with_standing
from keygroups.states import STRANGER_STATES, stranger_state
from kmes.ui.pictures import Bar
from logging_reports.reports.definitions import Answer, Column, Kind, Report, Row, State
from logging_reports.reports.forms import ReportForm, search_field
from logging_reports.reports.registry import register

STANDINGS: dict[str, State] = {
    RotationStanding.ON_TIME: State(RotationStanding.ON_TIME.label, "good"),
    RotationStanding.LATE: State(RotationStanding.LATE.label, "warning"),
    RotationStanding.FAILED: State(RotationStanding.FAILED.label, "bad"),
    RotationStanding.OFF: State(RotationStanding.OFF.label, "neutral"),
    RotationStanding.DELETED: State(RotationStanding.DELETED.label, "neutral"),
    RotationStanding.NOT_IN_VAULT: State(RotationStanding.NOT_IN_VAULT.label, "neutral"),
}
STRANGERS = {value: State(shown.label, shown.colour) for value, shown in STRANGER_STATES.items()}
# What counts: the others are named beside them.
COUNTED = (RotationStanding.ON_TIME, RotationStanding.LATE, RotationStanding.FAILED)


# --- Rotation compliance ---------------------------------------------------------------------
class RotationForm(ReportForm):
    """Which groups: by how they stand, by name."""

    standing = forms.ChoiceField(
        label=gettext_lazy("Standing"),
        choices=[("", gettext_lazy("Any")), *[(name, state.label) for name, state in STANDINGS.items()]],
        required=False,
    )
    q = search_field(gettext_lazy("Part of a group's, vault's or owner's name"))


def answer_rotation(filters: dict[str, Any]) -> Answer:
    """Tell how well the groups' rotation policies are kept. One query and the page's."""
    groups = with_standing(KeyGroup.objects.all())
    if filters["q"]:
        text = filters["q"]
        groups = groups.filter(Q(name__icontains=text) | Q(vault__name__icontains=text) | Q(owner__icontains=text))
    if filters["standing"]:
        groups = groups.filter(standing=filters["standing"])
    counted = dict(groups.order_by().values_list("standing").annotate(Count("pk")))
    bars = [Bar(state.label, counted.get(name, 0), state.tone) for name, state in STANDINGS.items()]
    rows = groups.order_by("name").values(
        *("id", "name", "owner", "rotate", "rotate_every", "rotate_unit", "last_rotated_at", "next_due_at"),
        "standing",
        vault_name=F("vault__name"),
    )
    return Answer(_rotation_sentence(counted), bars, rows)


def _rotation_sentence(counted: dict[str, int]) -> str:
    return f"{_kept_sentence(counted)} {_left_out_sentence(counted)}".strip()


def _left_out_sentence(counted: dict[str, int]) -> str:
    """Name the groups that rotate by policy and have nothing in the vault to rotate."""
    left_out = (RotationStanding.DELETED, RotationStanding.NOT_IN_VAULT)
    if not any(counted.get(name) for name in left_out):
        return ""
    deleted, absent = (counted.get(name, 0) for name in left_out)
    text = _("Not counted: %(deleted)d deleted in the vault, %(absent)d with nothing in the vault yet.")
    return text % {"deleted": deleted, "absent": absent}


def _kept_sentence(counted: dict[str, int]) -> str:
    with_policy = sum(counted.get(name, 0) for name in COUNTED)
    if not with_policy:
        return _("No key group with a rotation policy has a key in the vault.")
    kept = counted.get(RotationStanding.ON_TIME, 0)
    text = ngettext(
        "%(kept)d of %(all)d key group with a rotation policy keeps it; %(late)d late, %(failed)d failed, %(off)d off.",
        "%(kept)d of %(all)d key groups with a rotation policy keep it; %(late)d late, %(failed)d failed, %(off)d off.",
        with_policy,
    )
    return text % {
        "kept": kept,
        "all": with_policy,
        "late": counted.get(RotationStanding.LATE, 0),
        "failed": counted.get(RotationStanding.FAILED, 0),
        "off": counted.get(RotationStanding.OFF, 0),
    }


def _policy(row: Row) -> str:
    if not row["rotate"]:
        return _("Does not rotate")
    return _("Every %(count)d %(unit)s") % {
        "count": row["rotate_every"],
        "unit": PeriodUnit(row["rotate_unit"]).label,
    }


def _group_url(row: Row) -> str:
    return group_url(row["id"])


ROTATION = Report(
    name="rotation",
    title=gettext_lazy("Rotation compliance"),
    description=gettext_lazy(
        "Each key group's rotation policy, when it last rotated on time, and whether it complies now."
    ),
    chart_title=gettext_lazy("Key groups by standing"),
    form=RotationForm,
    order=20,
    nothing=gettext_lazy("No key group was made yet. Make one under Key Management > Keys."),
    answer=answer_rotation,
    columns=(
        Column(name="name", label=gettext_lazy("Key group"), order_by=("name",), link=_group_url),
        Column(name="vault_name", label=gettext_lazy("Key Vault"), order_by=("vault_name", "name")),
        Column(name="owner", label=gettext_lazy("Owner"), order_by=("owner", "name")),
        Column(name="policy", label=gettext_lazy("Policy"), value=_policy),
        Column(
            name="last_rotated_at",
            label=gettext_lazy("Last rotated"),
            kind=Kind.MOMENT,
            order_by=("last_rotated_at", "name"),
        ),
        Column(
            name="next_due_at",
            label=gettext_lazy("Next due"),
            kind=Kind.MOMENT,
            value=lambda row: row["next_due_at"] if row["rotate"] else None,
            order_by=("next_due_at", "name"),
        ),
        Column(
            name="standing",
            label=gettext_lazy("Standing"),
            kind=Kind.STATE,
            states=STANDINGS,
            order_by=("standing", "name"),
        ),
    ),
)


# --- Unmanaged cloud keys --------------------------------------------------------------------
class UnmanagedForm(ReportForm):
    """Which versions, by name of group or vault."""

    q = search_field(gettext_lazy("Part of a group's or vault's name"))


def answer_unmanaged(filters: dict[str, Any]) -> Answer:
    """Tell which versions that were not made here the vaults hold. Those that somebody accepted are left out."""
    found = Observation.objects.filter(version=None, is_present=True, is_accepted=False)
    if filters["q"]:
        found = found.filter(Q(group__name__icontains=filters["q"]) | Q(group__vault__name__icontains=filters["q"]))
    by_vault = list(found.order_by().values_list("group__vault__name").annotate(count=Count("pk")))
    by_vault.sort(key=lambda each: (-each[1], each[0]))
    total = sum(count for _vault, count in by_vault)
    newest = Job.objects.filter(group=OuterRef("group"), kind=check_drift.KIND, state__in=SUCCEEDED_STATES)
    rows = found.order_by("group__name", "azure_version").values(
        *("group_id", "azure_version"),
        group_name=F("group__name"),
        vault=F("group__vault__name"),
        credential=F("group__credential__name"),
        state=stranger_state(),
        at=F("seen_at"),
        job_code=Subquery(newest.order_by("-finished_at").values("code")[:1]),
    )
    return Answer(_unmanaged_sentence(total), [Bar(vault, count, "warning") for vault, count in by_vault[:10]], rows)


def _unmanaged_sentence(total: int) -> str:
    if not total:
        return _("The vaults hold no version that was not made here, by each key group's newest comparison.")
    text = ngettext(
        "%(count)d version in the vaults was not made here, by each key group's newest comparison.",
        "%(count)d versions in the vaults were not made here, by each key group's newest comparison.",
        total,
    )
    return text % {"count": total}


def _found_group_url(row: Row) -> str:
    return group_url(row["group_id"])


def _job_url(row: Row) -> str:
    return reverse("jobs:detail", args=[row["job_code"]]) if row["job_code"] else ""


UNMANAGED_KEYS = Report(
    name="unmanaged",
    title=gettext_lazy("Unmanaged cloud keys"),
    description=gettext_lazy("Versions of the key groups' Azure keys that somebody made outside this console."),
    chart_title=gettext_lazy("Unmanaged versions by vault"),
    form=UnmanagedForm,
    order=50,
    nothing=gettext_lazy("Nothing was found. Key groups are compared with their vaults once a day."),
    answer=answer_unmanaged,
    columns=(
        Column(
            name="group",
            label=gettext_lazy("Key group"),
            value=lambda row: row["group_name"],
            order_by=("group_name", "azure_version"),
            link=_found_group_url,
        ),
        Column(name="vault", label=gettext_lazy("Key Vault"), order_by=("vault", "azure_version")),
        Column(
            name="version",
            label=gettext_lazy("Version"),
            kind=Kind.CODE,
            value=lambda row: row["azure_version"],
            order_by=("azure_version",),
        ),
        Column(name="state", label=gettext_lazy("State"), kind=Kind.STATE, states=STRANGERS),
        Column(name="credential", label=gettext_lazy("Credential"), order_by=("credential", "azure_version")),
        Column(name="at", label=gettext_lazy("Last seen"), kind=Kind.MOMENT, order_by=("at", "azure_version")),
        Column(name="job_code", label=gettext_lazy("Job"), kind=Kind.CODE, link=_job_url),
    ),
)


def register_all() -> None:
    """Register the reports of this app."""
    register(ROTATION, UNMANAGED_KEYS)
