"""A version in three columns: here, last known, live. Works on loaded rows and reads no others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from keygroups.choices import Drift
from keygroups.fields import own_tags, show_tags
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.policy import period_text
from keygroups.states import of_key, of_version

UNKNOWN = "–"


@dataclass(frozen=True)
class ComparisonRow:
    """One property: as it is set here, as it was last known, and as the vault showed it."""

    label: str
    here: str
    known: str
    live: str
    differs: bool = False


def compare_in_columns(
    group: KeyGroup, key: Key | None, version: CloudVersion | None, observation: Observation | None
) -> list[ComparisonRow]:
    """Return the rows of the table. A dash stands for what the vault has not been asked yet."""
    flags = set(observation.flags) if observation else set()
    # The settings of the group do not apply to a version that was made outside this console.
    is_ours = key is not None
    seen = observation if observation is not None and observation.is_present else None
    return [
        ComparisonRow(
            _("State"),
            str(of_key(key).label) if key else _("Not made here"),
            str(of_version(version).label) if version else UNKNOWN,
            _in_vault(observation),
            bool(flags & {Drift.MISSING, Drift.UNKNOWN}),
        ),
        ComparisonRow(
            _("Enabled"),
            _enabled_here(group, version) if is_ours else UNKNOWN,
            _yes(version.wanted_enabled) if version else UNKNOWN,
            _yes(seen.enabled) if seen else UNKNOWN,
            Drift.ENABLED in flags,
        ),
        ComparisonRow(
            _("Expires"),
            _expiry_here(group) if is_ours else UNKNOWN,
            _moment(version.wanted_expires_at, pushed=version.pushed_at is not None) if version else UNKNOWN,
            _moment(seen.expires_on) if seen else UNKNOWN,
            Drift.EXPIRY in flags,
        ),
        ComparisonRow(
            _("Not before"),
            _at_once() if is_ours else UNKNOWN,
            _start(version.wanted_not_before) if version else UNKNOWN,
            _start(seen.not_before) if seen else UNKNOWN,
            Drift.NOT_BEFORE in flags,
        ),
        ComparisonRow(
            _("Permitted operations"),
            ", ".join(group.azure_operations) if is_ours else UNKNOWN,
            (", ".join(version.operations) or _("not recorded")) if version else UNKNOWN,
            ", ".join(seen.operations) if seen else UNKNOWN,
            Drift.OPERATIONS in flags,
        ),
        ComparisonRow(
            _("Tags"),
            (show_tags(group.tags) if is_ours else "") or UNKNOWN,
            (show_tags(version.tags) if version.tags is not None else _("not recorded")) or UNKNOWN
            if version
            else UNKNOWN,
            _tags(seen, flags),
            Drift.TAGS in flags,
        ),
        ComparisonRow(_("Public key"), key.thumbprint[:16] + "…" if key else UNKNOWN, *_material(version, seen, flags)),
    ]


def _enabled_here(group: KeyGroup, version: CloudVersion | None) -> str:
    if version is not None and version.wanted_enabled != group.enabled_on_push:
        return _("as decided per version")
    return _yes(group.enabled_on_push)


def _expiry_here(group: KeyGroup) -> str:
    if not group.valid_for:
        return _("never")
    return _("%(period)s after the push") % {"period": period_text(group.valid_for, group.valid_unit)}


def _in_vault(observation: Observation | None) -> str:
    if observation is None:
        return _("not compared yet")
    return _("in the vault") if observation.is_present else _("missing")


def _yes(value: bool | None) -> str:  # noqa: FBT001 - a cell's value
    return _("yes") if value else _("no")


def _moment(moment: datetime | None, *, pushed: bool = True) -> str:
    if moment is None:
        return _("never") if pushed else UNKNOWN
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _start(moment: datetime | None) -> str:
    return _moment(moment) if moment else _at_once()


def _at_once() -> str:
    return _("usable at once")


def _tags(seen: Observation | None, flags: set[str]) -> str:
    if seen is None:
        return UNKNOWN
    text = show_tags(own_tags(seen.tags)) or UNKNOWN
    if Drift.TAGS in flags and "kmes-key" not in seen.tags:
        text += "\n" + _("the console's own tags were taken away")
    return text


def _material(version: CloudVersion | None, seen: Observation | None, flags: set[str]) -> tuple[str, str, bool]:
    differs = Drift.MATERIAL in flags
    known = _("the same, verified at the push") if version and version.pushed_at else UNKNOWN
    if seen is None or version is None:
        return known, UNKNOWN, differs
    return known, _("another one") if differs else _("the same"), differs
