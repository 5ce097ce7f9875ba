"""The lifeline of a group's versions: a bar for each from its making to its end. Draws what a page has read; no query.

A row holds no moment for every change of a state. A version counts as superseded from the push of the next one on, and
its present state from the row's last change on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from keygroups import states
from keygroups.choices import GroupCloudState, VersionState
from keygroups.key_events import Edge
from keygroups.key_jobs import KeyJobs
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.core.clock import now, stamp
from kmes.ui.pictures import Cell, Picture, box, cut_label, diamond, label, line, link

MOST_ROWS = 20
# What of the past is shown, by its name in the address; "" shows all.
SPANS = {"30d": timedelta(days=30), "1y": timedelta(days=365)}
LIFE_SPANS = {"30d": gettext_lazy("30 days"), "1y": gettext_lazy("1 year"), "": gettext_lazy("All")}
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 980, 170, 150, 30, 28
_TICKS = 6
# What happened within so many units stands at one mark.
_EDGE_WIDTH = 8
# Of what is ahead, not more than this share of the picture is shown.
_AHEAD = timedelta(days=14)
# States that a version does not leave, or in which the vault does not hold it as it should.
_GONE = frozenset({VersionState.SOFT_DELETED, VersionState.PURGED, VersionState.MISSING, VersionState.FAILED})
_LOOKS = {
    VersionState.ACTIVE: "fill-good",
    VersionState.SUPERSEDED: "fill-neutral",
    VersionState.DISABLED: "life-disabled",
    VersionState.PUSHING: "fill-info",
    VersionState.SOFT_DELETED: "life-deleted",
}


@dataclass(frozen=True)
class Span:
    """A stretch of a bar in one look."""

    look: str
    start: datetime
    end: datetime
    thin: bool = False


@dataclass(frozen=True)
class Life:
    """One version: its bar, its marks, and what the table says of it."""

    name: str
    url: str
    state: str
    spans: tuple[Span, ...]
    expires_at: datetime | None
    foreign: bool
    cells: tuple[Cell, ...]
    is_this: bool = False
    edges: tuple[Edge, ...] = ()
    # The key of a version that was made here, and the list of its events.
    version: str = ""
    events_url: str = ""

    @property
    def data(self) -> dict[str, str]:
        """Return by what scripts know the version."""
        return {"version": self.version} if self.version else {}


def draw_lifeline(
    group: KeyGroup,
    versions: Sequence[CloudVersion],
    strangers: Sequence[Observation],
    jobs: Mapping[UUID, KeyJobs],
    *,
    this: UUID | None = None,
    span: str = "",
    edges: Mapping[UUID, Sequence[Edge]] | None = None,
    events_url: str = "",
) -> Picture | None:
    """Draw the newest versions of a group, foreign ones hatched; None while there is none. ``versions``: newest first.

    ``edges`` holds, by key, what the logs tell of each version; without them its making and its push are marked.
    A bar leads to the events of its version under ``events_url``, or to its key where nobody may read them.
    """
    moment = now()
    lives = [
        *_with_events(_lives_of(versions, jobs, moment, this, edges or {}), events_url),
        *(_foreign(group, each, moment) for each in strangers),
    ]
    lives = sorted(lives, key=lambda life: life.spans[0].start, reverse=True)[:MOST_ROWS]
    if not lives:
        return None
    purge = group.scheduled_purge_at if group.cloud_state == GroupCloudState.SOFT_DELETED else None
    begin, end = _limits(lives, purge, moment, SPANS.get(span))
    scale = _Scale(begin, end)
    height = _TOP + _ROW * len(lives) + 12
    shapes = _axis(scale, height, moment)
    for place, life in enumerate(lives):
        shapes += _draw_life(life, _TOP + place * _ROW, scale)
    if purge is not None and begin <= purge <= end:
        x = scale.x(purge)
        shapes += [line(x, _TOP - 4, x, height - 8, look="purge-line"), label(x, height, _("purge"), anchor="middle")]
    return Picture(
        "lifeline",
        _("Lifeline of %(name)s") % {"name": group.azure_name},
        _tell(lives, purge),
        _WIDTH,
        height + 6,
        shapes,
        (_("Key"), _("State"), _("Created"), _("Pushed"), _("Job"), _("Expires"), _("Ended")),
        [life.cells for life in lives],
        (
            ("life-made", _("Created, not in the vault")),
            ("fill-good", _("Active")),
            ("fill-neutral", _("Superseded")),
            ("life-disabled", _("Disabled")),
            ("life-deleted", _("Deleted, recoverable")),
            ("life-foreign hatched", _("Not made here")),
            ("mark-warning", _("Expiry")),
            ("life-edge-sign", _("An event: who, and by which job")),
        ),
        acts=True,
    )


# --- What is known of each -------------------------------------------------------------------
def _lives_of(
    versions: Sequence[CloudVersion],
    jobs: Mapping[UUID, KeyJobs],
    moment: datetime,
    this: UUID | None,
    edges: Mapping[UUID, Sequence[Edge]],
) -> list[Life]:
    lives, newer = [], None
    for version in versions:
        known = jobs.get(version.key_id, KeyJobs())
        life = _life(version, newer, known, moment, is_this=version.key_id == this)
        lives.append(replace(life, edges=tuple(edges.get(version.key_id, ())) or _plain_edges(version, known)))
        newer = version.pushed_at or newer
    return lives


def _with_events(lives: Sequence[Life], events_url: str) -> list[Life]:
    if not events_url:
        return list(lives)
    return [replace(life, events_url=f"{events_url}?{urlencode({'version': life.version})}") for life in lives]


def _life(version: CloudVersion, newer: datetime | None, jobs: KeyJobs, moment: datetime, *, is_this: bool) -> Life:
    key, pushed = version.key, version.pushed_at
    spans = [Span("life-made", key.created_at, pushed or moment, thin=True)]
    # Where the row changed before the next version came, its state was not that of being superseded.
    changed = max(version.updated_at, pushed) if pushed else version.updated_at
    ended = changed if version.state in _GONE else None
    if pushed:
        until = ended or moment
        # Versions of one job were pushed at the same moment.
        handed_over = min(newer, until) if newer and newer >= pushed else until
        if handed_over > pushed:
            spans.append(Span("fill-good", pushed, handed_over))
        if handed_over < until:
            spans.append(Span("fill-neutral", handed_over, until))
        if version.state in {VersionState.DISABLED, VersionState.SOFT_DELETED}:
            spans.append(Span(_LOOKS[VersionState(version.state)], changed, moment))
    push = jobs.push
    return Life(
        key.name,
        key.get_absolute_url(),
        str(states.of_version(version).label),
        tuple(spans),
        version.expires_at,
        foreign=False,
        is_this=is_this,
        version=str(key.pk),
        cells=(
            Cell(key.name, key.get_absolute_url()),
            Cell(states.of_version(version).label),
            Cell(_("%(moment)s by %(name)s") % {"moment": stamp(key.created_at), "name": key.created_by}),
            Cell(_moment(pushed)),
            Cell(f"{push.name} ({push.actor})", push.url) if push else Cell("–"),
            Cell(_moment(version.expires_at)),
            Cell(_moment(key.destroyed_at or ended)),
        ),
    )


def _plain_edges(version: CloudVersion, jobs: KeyJobs) -> tuple[Edge, ...]:
    """Return the making and the push of a version, as its rows and its job tell them."""
    key, push = version.key, jobs.push
    made = _("Created: %(moment)s by %(name)s") % {"moment": _moment(key.created_at), "name": key.created_by}
    edges = [Edge(key.created_at, made, key.get_absolute_url())]
    if version.pushed_at and push is not None:
        pushed = _("Pushed: %(moment)s by %(name)s, %(job)s")
        text = pushed % {"moment": _moment(version.pushed_at), "name": push.actor, "job": push.name}
        edges.append(Edge(version.pushed_at, text, push.url))
    return tuple(edges)


def _foreign(group: KeyGroup, seen: Observation, moment: datetime) -> Life:
    url, start = reverse("keygroups:drift", args=[group.pk]), seen.created_on or seen.seen_at
    state = states.of_stranger(seen)
    return Life(
        seen.azure_version,
        url,
        str(state.label),
        (Span("life-foreign", start, moment),),
        seen.expires_on,
        foreign=True,
        cells=(
            Cell(seen.azure_version, url),
            Cell(state.label),
            Cell(_moment(seen.created_on)),
            Cell("–"),
            Cell("–"),
            Cell(_moment(seen.expires_on)),
            Cell("–"),
        ),
    )


def _moment(value: datetime | None) -> str:
    return f"{stamp(value)} UTC" if value else "–"


# --- Drawing ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Scale:
    begin: datetime
    end: datetime

    def x(self, moment: datetime) -> float:
        """Return the place of a moment, at the edge if it lies beyond."""
        whole = (self.end - self.begin).total_seconds()
        share = (moment - self.begin).total_seconds() / whole
        return _LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)


def _limits(
    lives: Sequence[Life], purge: datetime | None, moment: datetime, back: timedelta | None
) -> tuple[datetime, datetime]:
    begin = min(life.spans[0].start for life in lives)
    if back is not None:
        begin = max(begin, moment - back)
    begin = min(begin, moment - timedelta(minutes=10))
    # What lies far ahead would press the past together.
    ahead = [at for at in (*(life.expires_at for life in lives), purge) if at is not None and at > moment]
    furthest = max(ahead, default=moment)
    end = min(furthest, moment + max((moment - begin) / 2, _AHEAD))
    return begin, max(end, moment + (moment - begin) / 50)


def _axis(scale: _Scale, height: float, moment: datetime) -> list[SafeString]:
    days = (scale.end - scale.begin) / timedelta(days=1)
    form = "%Y-%m-%d" if days > _TICKS else "%m-%d %H:%M"
    shapes = []
    for number in range(_TICKS + 1):
        at = scale.begin + (scale.end - scale.begin) * number / _TICKS
        x = scale.x(at)
        shapes += [
            line(x, _TOP - 8, x, height - 8, look="fine"),
            label(x, _TOP - 14, at.astimezone(UTC).strftime(form), anchor="middle", look="quiet small"),
        ]
    today = scale.x(moment)
    shapes += [
        line(today, _TOP - 8, today, height - 8, look="now-line"),
        label(today, height, _("now"), anchor="middle"),
    ]
    return shapes


def _draw_life(life: Life, top: float, scale: _Scale) -> list[SafeString]:
    middle, said = top + _ROW / 2, f"{life.name}: {life.state}"
    shapes = [cut_label(0, middle + 4, life.name, _LEFT - 12, look="strong" if life.is_this else "")]
    for span in life.spans:
        left, right = scale.x(span.start), scale.x(span.end)
        if right <= left and span.end < scale.begin:
            continue
        thickness = 3 if span.thin else 14
        tip = f"{life.name}: {stamp(span.start)} – {stamp(span.end)} UTC"
        hatch = "lifeline" if life.foreign else ""
        look = f"{span.look} hatched" if life.foreign else span.look
        shapes.append(
            box(
                left, middle - thickness / 2, max(right - left, 2), thickness, look=look, tip=tip, corner=1, hatch=hatch
            )
        )
    if life.expires_at and scale.begin <= life.expires_at <= scale.end:
        tip = _("%(name)s expires %(moment)s") % {"name": life.name, "moment": _moment(life.expires_at)}
        shapes.append(diamond(scale.x(life.expires_at), middle, 6, look="mark-warning", tip=tip))
    shapes.append(cut_label(_WIDTH - _RIGHT + 12, middle + 4, life.state, _RIGHT - 12, look="quiet"))
    if life.events_url:
        said = _("%(version)s. Show its events") % {"version": said}
        bar = link(life.events_url, said, shapes, **life.data, filters="events")
    else:
        bar = link(life.url, said, shapes, **life.data)
    return [bar, *_draw_edges(life, middle, scale)]


def _draw_edges(life: Life, middle: float, scale: _Scale) -> list[SafeString]:
    """Draw a mark for each moment; those at one place of the picture share it, and lead to the last of them."""
    places: dict[int, list[Edge]] = {}
    for edge in life.edges:
        if scale.begin <= edge.at <= scale.end:
            places.setdefault(round(scale.x(edge.at) / _EDGE_WIDTH), []).append(edge)
    marks = []
    for place, edges in places.items():
        x = place * _EDGE_WIDTH
        shapes = [
            box(x - _EDGE_WIDTH / 2, middle - 11, _EDGE_WIDTH, 22, look="edge-ground", corner=0),
            line(x, middle - 9, x, middle + 9, look="life-edge"),
        ]
        marks.append(
            link(edges[-1].url, f"{life.name}: " + "; ".join(edge.text for edge in edges), shapes, **life.data)
        )
    return marks


def _tell(lives: Sequence[Life], purge: datetime | None) -> str:
    own = [life for life in lives if not life.foreign]
    said = ngettext("%(count)d version, newest first", "%(count)d versions, newest first", len(own)) % {
        "count": len(own)
    }
    parts = [f"{said}: " + ", ".join(f"{life.name} {life.state}" for life in own)] if own else []
    if foreign := len(lives) - len(own):
        text = ngettext("%(count)d version was not made here", "%(count)d versions were not made here", foreign)
        parts.append(text % {"count": foreign})
    if purge:
        parts.append(_("the vault purges them on %(moment)s") % {"moment": _moment(purge)})
    return "; ".join(parts) + "."
