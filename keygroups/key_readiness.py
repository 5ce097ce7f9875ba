"""Whether the keys of a vault are set up well: rotation policy, HSM platform, and what policies deny, per key group.

Reads what comparisons recorded, and asks no cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Page
from django.db.models import Case, IntegerField, Q, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import KeyVault
from cloudcreds.readiness import Line
from keygroups.choices import GroupCloudState
from keygroups.models import KeyGroup, KeyReading
from keygroups.policy import period_text
from keygroups.readings import describe, policy_of
from keygroups.vault_rules import why_refused
from kmes.ui.pages import RowPaginator

# docs/azure.md#hsm-platform
PRESENT_PLATFORM = "2"
FORMER_PLATFORM = "1"
CARDS_PER_PAGE = 25


@dataclass(frozen=True)
class KeyCard:
    """What is known of one Azure key. ``rotates``: Azure would replace the HSM's key by one of its own."""

    group: KeyGroup
    lines: list[Line]
    rotates: bool


@dataclass(frozen=True)
class Cards:
    """A page of a vault's cards. ``alarms``: how many keys of the whole vault Azure rotates."""

    page: Page[KeyGroup]
    cards: list[KeyCard]
    alarms: int


def read_cards(vault: KeyVault, page: str | None = None) -> Cards:
    """Return a page of the cards of the vault's key groups by name; those with an alarm first. Three queries."""
    groups = vault.groups.select_related("reading").annotate(
        alarm=Case(When(_is_rotated_by_azure(), then=0), default=1, output_field=IntegerField())
    )
    shown = RowPaginator(groups.order_by("alarm", "name"), CARDS_PER_PAGE).get_page(page)
    alarms = vault.groups.filter(_is_rotated_by_azure()).count()
    return Cards(shown, [_card(group, vault) for group in shown.object_list], alarms)


def _is_rotated_by_azure() -> Q:
    """Return the condition of a group whose policy, as last read, lets Azure rotate a live key."""
    policy = "reading__rotation__"
    rotates = Q(**{f"{policy}rotate_after_create__gt": ""}) | Q(**{f"{policy}rotate_before_expiry__gt": ""})
    return rotates & Q(cloud_state=GroupCloudState.LIVE)


def _card(group: KeyGroup, vault: KeyVault) -> KeyCard:
    group.vault = vault
    reading: KeyReading | None = getattr(group, "reading", None)
    policy = policy_of(reading) if reading else None
    rotates = policy is not None and policy.rotates and group.cloud_state == GroupCloudState.LIVE
    lines = [_rotation(group, reading), _expiry(group), _platform(group, reading), *_policies(group)]
    return KeyCard(group, lines, rotates)


def _unread(group: KeyGroup, name: str, *, cis: str = "") -> Line:
    if group.cloud_state != GroupCloudState.LIVE:
        return Line(name, _("No key"), "neutral", _("The vault has no live key of this group."), cis=cis)
    meaning, cure = _("No comparison has read this."), _("Run Cloud > Check Drift on the key group.")
    return Line(name, _("Not read yet"), "neutral", meaning, cure, cis)


def _rotation(group: KeyGroup, reading: KeyReading | None) -> Line:
    name, cis = _("Rotation policy"), "8.3.9"
    if reading is None or group.cloud_state != GroupCloudState.LIVE:
        return _unread(group, name, cis=cis)
    policy = policy_of(reading)
    if policy is None:
        cure = _("Give the application Get Rotation Policy on the vault, then run Cloud > Check Drift.")
        problem = reading.rotation_problem or _("The rotation policy could not be read.")
        return Line(name, _("Not known"), "neutral", problem, cure, cis, reading.read_at)
    if policy.rotates:
        return Line(
            name,
            _("Azure rotates"),
            "bad",
            _(
                "%(policy)s. Azure would make the next version itself: it would be the current one, with material that "
                "the HSM does not have."
            )
            % {"policy": describe(policy)},
            _("Replace the Rotate action by Notify. This console rotates the key by its own schedule."),
            cis,
            reading.read_at,
        )
    return Line(
        name,
        _("Notify only"),
        "good",
        _(
            "%(policy)s. That is right for a BYOK key. Scanners report it, because they look for a Rotate action: record "
            "an exception for it."
        )
        % {"policy": describe(policy)},
        "",
        cis,
        reading.read_at,
    )


def _expiry(group: KeyGroup) -> Line:
    """Return the line about the expiry that new versions get; known here, so there is no time of reading."""
    name, cis = _("Expiry"), "8.3.1, 8.3.2"
    if not group.valid_for:
        meaning = _("New versions never expire.")
        cure = _("Set “Keep key valid for” in the key group, longer than its rotation takes.")
        return Line(name, _("None"), "warning", meaning, cure, cis)
    meaning = _("New versions are valid for %(period)s.") % {"period": period_text(group.valid_for, group.valid_unit)}
    return Line(name, _("Set"), "good", meaning, cis=cis)


def _platform(group: KeyGroup, reading: KeyReading | None) -> Line:
    name = _("HSM platform")
    if reading is None or group.cloud_state != GroupCloudState.LIVE:
        return _unread(group, name)
    counts = {str(platform): int(count) for platform, count in reading.platforms.items()}
    if former := counts.get(FORMER_PLATFORM, 0):
        return _former_platform(former, reading.read_at)
    if set(counts) == {PRESENT_PLATFORM}:
        meaning = ngettext(
            "%(count)d version lives on platform 2 (FIPS 140-3 level 3).",
            "%(count)d versions live on platform 2 (FIPS 140-3 level 3).",
            counts[PRESENT_PLATFORM],
        )
        return Line(name, "2", "good", meaning % {"count": counts[PRESENT_PLATFORM]}, read_at=reading.read_at)
    shown = ", ".join(f"{platform or '–'}: {count}" for platform, count in sorted(counts.items())) or "–"
    meaning = _("The vault does not tell the platform of each version (%(shown)s).") % {"shown": shown}
    return Line(name, _("Not known"), "neutral", meaning, read_at=reading.read_at)


def _former_platform(count: int, read_at: datetime) -> Line:
    meaning = ngettext(
        "%(count)d version lives on platform 1, which Azure retires. Its FIPS 140-2 certificates are historical since "
        "2026-09-21.",
        "%(count)d versions live on platform 1, which Azure retires. Its FIPS 140-2 certificates are historical since "
        "2026-09-21.",
        count,
    )
    cure = _("A version can't be moved. Force a rotation: new versions are made on platform 2.")
    return Line(_("HSM platform"), "1", "warning", meaning % {"count": count}, cure, read_at=read_at)


def _policies(group: KeyGroup) -> list[Line]:
    """Return a line for what policies deny to the group's next key; none when they deny nothing."""
    why = why_refused(group)
    if not why:
        return []
    meaning = _("The next key of this group would be refused.")
    return [Line(_("Azure Policy"), _("Denied"), "bad", meaning, details=why)]
