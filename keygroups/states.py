"""The one state that is shown of a group, a key and a version: label, colour, and whether the vault differs.

Pages, tables, menus, reports and exports read it here; none derives a state by itself. It follows what was last seen
in the vault. Lists get it as an SQL expression, so that they can filter and count by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Concat
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from keygroups.choices import (
    ENDED_VERSION_STATES,
    LIVE_VERSION_STATES,
    STATE_COLOURS,
    GroupCloudState,
    KeyState,
    VersionState,
)
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from kmes.core.clock import now

_DIFFERS = "_differs"
NOT_SYNCHRONIZED = "not_synchronized"
NO_ACTIVE_VERSION = "live_inactive"


@dataclass(frozen=True)
class ShownState:
    """A state as it is shown. ``value`` is what the SQL expressions give."""

    value: str
    label: str | Promise
    colour: str

    @property
    def differs(self) -> bool:
        """Return whether the vault differs from what is wanted here."""
        return self.value.endswith(_DIFFERS)


def _differing(state: str, label: str | Promise) -> ShownState:
    return ShownState(f"{state}{_DIFFERS}", format_lazy(gettext_lazy("{state}, differs"), state=label), "warning")


def _table(*states: ShownState) -> dict[str, ShownState]:
    return {state.value: state for state in states}


VERSION_STATES = _table(
    *(ShownState(state.value, state.label, STATE_COLOURS[state]) for state in VersionState),
    # The other states say themselves that the vault does not hold the version as it should.
    *(_differing(state.value, state.label) for state in LIVE_VERSION_STATES),
    ShownState(NOT_SYNCHRONIZED, gettext_lazy("Not synchronized"), "neutral"),
)
STRANGER_STATES = _table(
    ShownState("stranger", gettext_lazy("Not made here"), "bad"),
    ShownState("stranger_disabled", gettext_lazy("Not made here, disabled"), "warning"),
    ShownState("accepted", gettext_lazy("Not made here, accepted"), "neutral"),
)
KEY_STATES = _table(*(ShownState(state.value, state.label, STATE_COLOURS[state]) for state in KeyState))
# In the order in which the tree shows them.
GROUP_STATES = _table(
    ShownState(GroupCloudState.ABSENT.value, GroupCloudState.ABSENT.label, STATE_COLOURS[GroupCloudState.ABSENT]),
    ShownState(GroupCloudState.LIVE.value, GroupCloudState.LIVE.label, STATE_COLOURS[GroupCloudState.LIVE]),
    ShownState(NO_ACTIVE_VERSION, gettext_lazy("In the vault, no active version"), "warning"),
    *(
        ShownState(state.value, state.label, STATE_COLOURS[state])
        for state in (GroupCloudState.SOFT_DELETED, GroupCloudState.PURGED)
    ),
    *(_differing(state.value, state.label) for state in GroupCloudState),
)


# --- Groups ----------------------------------------------------------------------------------
def group_state() -> Case:
    """Return the expression of a group's state, a key of ``GROUP_STATES``."""
    active = CloudVersion.objects.filter(group=OuterRef("pk"), state=VersionState.ACTIVE)
    return Case(
        When(differences__gt=0, then=Concat("cloud_state", Value(_DIFFERS))),
        When(Q(cloud_state=GroupCloudState.LIVE) & ~Exists(active), then=Value(NO_ACTIVE_VERSION)),
        default=F("cloud_state"),
        output_field=CharField(),
    )


def of_group(group: KeyGroup) -> ShownState:
    """Return a group's state. No query for groups from ``selectors.list_groups``."""
    value = group.__dict__.get("shown_state")
    if value is None:
        value = KeyGroup.objects.filter(pk=group.pk).values_list(group_state(), flat=True).get()
    return GROUP_STATES[value]


def warnings_of(group: KeyGroup, keys: Iterable[Key] = ()) -> list[str]:
    """Say what users of the Azure key meet who name it without a version, if that is not an active version of ours.

    Without a query where the active version is one of ``keys``, read with their versions.
    """
    if group.cloud_state != GroupCloudState.LIVE:
        return []
    known = (version for key in keys for version in key.cloud_versions.all() if version.state == VersionState.ACTIVE)
    active = next(known, None) or group.cloud_versions.filter(state=VersionState.ACTIVE).first()
    if active is not None:
        return _limits_of(active)
    stranger = group.observations.filter(azure_version=group.current_version, version__isnull=True).first()
    if stranger is not None and stranger.enabled:
        return [
            _(
                "The vault's current version %(version)s was not made here. Whoever names the key without a version "
                "uses that one. Force a rotation, so that a key of this group is current."
            )
            % {"version": stranger.azure_version}
        ]
    return [
        _(
            "No version is active: the vault's current version is disabled. Whoever names the key without a version "
            "gets an error, because the vault does not fall back to an older version. Enable it, or push another key."
        )
    ]


def _limits_of(active: CloudVersion) -> list[str]:
    found = []
    if active.not_before is not None and active.not_before > now():
        found.append(_("The vault refuses to use the active version before %(moment)s.") % _at(active.not_before))
    if active.expires_at is not None and active.expires_at <= now():
        found.append(_("The active version expired at %(moment)s.") % _at(active.expires_at))
    return found


def _at(moment: object) -> dict[str, str]:
    return {"moment": f"{moment:%Y-%m-%d %H:%M:%S} UTC"}


# --- Versions --------------------------------------------------------------------------------
def version_state() -> Case:
    """Return the expression of a version's state, a key of ``VERSION_STATES``."""
    marked = When(differs=True, state__in=LIVE_VERSION_STATES, then=Concat("state", Value(_DIFFERS)))
    return Case(marked, default=F("state"), output_field=CharField())


def of_version(version: CloudVersion) -> ShownState:
    """Return the state in which the vault holds a version, or what became of it."""
    is_marked = version.differs and version.state in LIVE_VERSION_STATES
    return VERSION_STATES[f"{version.state}{_DIFFERS}" if is_marked else version.state]


def stranger_state() -> Case:
    """Return the expression of the state of a version that was made outside this console."""
    return Case(
        When(is_accepted=True, then=Value("accepted")),
        When(enabled=True, then=Value("stranger")),
        default=Value("stranger_disabled"),
        output_field=CharField(),
    )


def of_stranger(row: Observation) -> ShownState:
    """Return the state of a version that was made outside this console."""
    if row.is_accepted:
        return STRANGER_STATES["accepted"]
    return STRANGER_STATES["stranger" if row.enabled else "stranger_disabled"]


# --- Keys ------------------------------------------------------------------------------------
def of_key(key: Key) -> ShownState:
    """Return the state of a key here."""
    return KEY_STATES[key.state]


def in_vault(key: Key) -> ShownState:
    """Return the state of a key in the vault: that of the version which is shown for it."""
    version = version_shown(key)
    return VERSION_STATES[NOT_SYNCHRONIZED] if version is None else of_version(version)


def key_in_vault() -> Combinable:
    """Return the expression of a key's state in the vault, as ``in_vault`` gives it."""
    has_ended = Case(When(state__in=ENDED_VERSION_STATES, then=1), default=0)
    versions = CloudVersion.objects.filter(key=OuterRef("pk")).order_by(has_ended, "-updated_at")
    return Coalesce(Subquery(versions.values_list(version_state())[:1]), Value(NOT_SYNCHRONIZED))


def version_shown(key: Key) -> CloudVersion | None:
    """Return the version that stands for the key: the one that has not ended, else the last that ended.

    Without a query for keys from ``selectors.list_keys``.
    """
    versions = list(key.cloud_versions.all())
    living = [version for version in versions if version.state not in ENDED_VERSION_STATES]
    return next(iter(living or versions), None)
