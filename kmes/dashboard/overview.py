"""Builds the home page: counts become tiles with a text, a severity colour and a link."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hsm.mfk_guard import MfkState, describe, state_of_mfk
from hsm.models import HsmDevice
from keygroups.reports import count_ages, present_keys
from kmes.core.separation import SeparationRecord, read_record
from kmes.dashboard import selectors
from kmes.dashboard.heartbeats import Heartbeats
from kmes.dashboard.selectors import CredentialCounts, RotationCounts, VersionCounts
from kmes.dashboard.setup.findings import SetupStep
from kmes.dashboard.setup.steps import build_steps, count_done
from logging_reports.reports.charts import draw_bars


@dataclass(frozen=True)
class Tile:
    """One thing that needs attention; ``colour`` is that of a badge."""

    name: str
    count: int
    text: str
    colour: str
    url: str


@dataclass(frozen=True)
class Overview:
    """All the home page shows."""

    tiles: list[Tile]
    setup: list[SetupStep]
    setup_done: int
    heartbeats: Heartbeats
    device: HsmDevice | None
    # Whether the processes have users of their own; None where no supervisor started them.
    separation: SeparationRecord | None


@dataclass(frozen=True)
class KeyAge:
    """The small chart of the keys' ages, and how many keys it counts."""

    chart: str
    total: int


def build_key_age() -> KeyAge | None:
    """Draw the keys' ages as the report does; None while there is no key. One query."""
    bars, found = count_ages(present_keys())
    return KeyAge(draw_bars("key-age", _("Keys by age"), bars), found["total"]) if found["total"] else None


def build_overview(heartbeats: Heartbeats) -> Overview:
    """Count everything once and return what needs attention, most severe first."""
    known, vaults = selectors.list_credentials(), selectors.list_vaults()
    credentials, rotations, versions = (
        selectors.count_credentials(known, vaults),
        selectors.count_rotations(),
        selectors.count_versions(),
    )
    seen = selectors.find_device()
    device = seen if seen and seen.is_designated else None
    separation = read_record(settings.KMES_STATE_DIR)
    tiles = [
        *_process_tiles(heartbeats, device),
        *_separation_tiles(separation),
        *_work_tiles(rotations),
        *_credential_tiles(credentials),
        *_version_tiles(versions),
    ]
    order = {"bad": 0, "warning": 1, "info": 2}
    shown = sorted((tile for tile in tiles if tile.count), key=lambda tile: order[tile.colour])
    setup = build_steps(seen, known, vaults)
    return Overview(shown, setup, count_done(setup), heartbeats, device, separation)


def _process_tiles(heartbeats: Heartbeats, device: HsmDevice | None) -> list[Tile]:
    device_url = reverse("hsm:device")
    if device is None:
        text = _("No device is designated: keys can be neither made nor synchronized")
        return [*_heartbeat_tiles(heartbeats), Tile("device", 1, text, "bad", reverse("hsm:configuration"))]
    problem = ""
    if heartbeats.device not in {"ok", "unknown"}:
        problem = _("The device does not serve (%(code)s)") % {"code": heartbeats.device}
    elif heartbeats.device == "unknown" and selectors.is_silent(device.last_seen_at):
        problem = _("The device was not seen for some minutes")
    mfk = state_of_mfk()
    return [
        *_heartbeat_tiles(heartbeats),
        Tile("device", int(bool(problem)), problem, "bad", device_url),
        Tile("mfk", int(mfk not in {MfkState.OK, MfkState.NONE}), " ".join(describe(mfk)), "bad", device_url),
    ]


def _separation_tiles(separation: SeparationRecord | None) -> list[Tile]:
    """Warn where the processes could have users of their own; elsewhere the list of parts says that they have none."""
    if separation is None or not separation.is_warning:
        return []
    text = _("All processes run as root and can read the PIN (%(reason)s)") % {"reason": separation.reason}
    return [Tile("separation", 1, text, "warning", f"{reverse('dashboard:home')}#parts")]


def _heartbeat_tiles(heartbeats: Heartbeats) -> list[Tile]:
    jobs_url = reverse("jobs:list")
    if not heartbeats.redis_up:
        text = _("Redis does not answer: jobs wait until it is back, and nothing is lost")
        return [Tile("redis", 1, text, "bad", jobs_url)]
    return [
        Tile(
            "worker",
            int(not heartbeats.workers),
            _("No cloud worker has reported in the last minute: jobs wait"),
            "bad",
            jobs_url,
        ),
        Tile(
            "releases",
            len(heartbeats.workers) - len(heartbeats.fit_workers),
            _("workers of another release take no jobs: finish the upgrade"),
            "warning" if heartbeats.fit_workers else "bad",
            jobs_url,
        ),
        Tile(
            "beat",
            int(not heartbeats.beat_alive),
            _("The scheduler is silent: rotations wait"),
            "warning",
            jobs_url,
        ),
    ]


def _work_tiles(rotations: RotationCounts) -> list[Tile]:
    failed, keks, reason = selectors.count_failures()
    held = _("Scheduled rotations are held (%(why)s)") % {"why": reason.label if reason else ""}
    return [
        Tile("schedule-held", int(reason is not None), held, "bad", reverse("operations:schedule")),
        Tile(
            "failed-jobs",
            failed,
            ngettext("job failed in the last 7 days", "jobs failed in the last 7 days", failed),
            "bad",
            f"{reverse('jobs:list')}?show=failed&range=7d",
        ),
        Tile(
            "late-rotations",
            rotations.late,
            ngettext("rotation is late", "rotations are late", rotations.late),
            "bad",
            f"{reverse('keygroups:keys')}?show=late",
        ),
        Tile(
            "due-rotations",
            rotations.soon,
            ngettext("rotation falls due within 7 days", "rotations fall due within 7 days", rotations.soon),
            "info",
            f"{reverse('keygroups:keys')}?show=due",
        ),
        Tile(
            "drift",
            rotations.drifting,
            ngettext("key group differs from its vault", "key groups differ from their vaults", rotations.drifting),
            "bad",
            f"{reverse('keygroups:keys')}?show=drift",
        ),
        Tile(
            "keks",
            keks,
            ngettext("ephemeral KEK may be left over in a vault", "ephemeral KEKs may be left over in a vault", keks),
            "warning",
            f"{reverse('logs:list')}?service=azure&category=kek",
        ),
    ]


def _credential_tiles(counts: CredentialCounts) -> list[Tile]:
    credentials_url = reverse("cloudcreds:list")
    return [
        Tile(
            "expiring-secrets",
            counts.expiring,
            ngettext(
                "secret or certificate expires within 30 days",
                "secrets or certificates expire within 30 days",
                counts.expiring,
            ),
            "warning",
            f"{credentials_url}?show=expiring",
        ),
        Tile(
            "failing-credentials",
            counts.failing,
            ngettext("connection test failed", "connection tests failed", counts.failing),
            "bad",
            f"{credentials_url}?show=failing",
        ),
        Tile(
            "untested-credentials",
            counts.untested,
            ngettext("credential was never tested", "credentials were never tested", counts.untested),
            "info",
            f"{credentials_url}?show=untested",
        ),
        Tile(
            "unseen-vaults",
            counts.vaults_unseen,
            ngettext("vault was never reached", "vaults were never reached", counts.vaults_unseen),
            "info",
            f"{credentials_url}?show=unseen",
        ),
    ]


def _version_tiles(counts: VersionCounts) -> list[Tile]:
    keys_url = reverse("keygroups:keys")
    return [
        Tile(
            "expiring-versions",
            counts.expiring,
            ngettext("active version expires within 30 days", "active versions expire within 30 days", counts.expiring),
            "warning",
            f"{keys_url}?show=expiring",
        ),
        Tile(
            "missing-versions",
            counts.missing,
            ngettext("version is missing in its vault", "versions are missing in their vaults", counts.missing),
            "bad",
            f"{keys_url}?show=missing",
        ),
    ]
