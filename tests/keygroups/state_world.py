"""A small vault in memory, what this console recorded of it, and what every page says of both."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.urls import reverse

from jobs.planning import blockers
from keygroups import drift, lifecycle
from keygroups.choices import LIVE_VERSION_STATES, STORED_VERSION_STATES
from keygroups.drift import Seen
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.selectors import count_by_state, list_groups
from keygroups.services import accept_drift, why_not_accept
from keygroups.states import GROUP_STATES, VERSION_STATES
from keygroups.version_moves import Pushed
from kmes.core.clock import now
from kmes.dashboard.selectors import count_rotations, count_versions
from tests.keygroups.builders import make_key

BEGIN = datetime(2031, 1, 1, tzinfo=UTC)
BADGE = re.compile(r'<span class="badge[^>]*>.*?</svg>(.*?)</span>', re.DOTALL)


@dataclass
class Held:
    """One version as the vault holds it; ``key`` is None if somebody else made it."""

    seen: Seen
    key: Key | None = None
    wanted: dict = field(default_factory=dict)

    def deviates(self):
        """Whether it is otherwise than this console wants it."""
        return any(getattr(self.seen, name) != value for name, value in self.wanted.items())


class StateWorld:
    """A group, and the versions in its vault by time of creation."""

    def __init__(self, group, actor):
        self.group, self.actor = group, actor
        self.held: list[Held] = []
        self.at = BEGIN

    # --- what happens ------------------------------------------------------------------------
    def push(self, *, enabled):
        """Push a new key, as a job records it."""
        if self.is_deleted():
            return
        key = make_key(self.group, f"key-{self.group.keys.count()}", spec="P-256")
        with transaction.atomic():
            version = lifecycle.begin_push(key=key)
            seen = replace(self._new(enabled=enabled), tags=drift.console_tags(version), operations=["sign"])
            pushed = Pushed(version, seen.azure_version, seen.kid, now(), enabled, None, ["sign"], {})
            lifecycle.record_pushed([pushed])
        wanted = {"enabled": enabled, "expires_on": None, "not_before": None, "tags": dict(seen.tags)}
        self.held.append(Held(seen, key, wanted))

    def make_stranger(self, *, enabled):
        """Let somebody else make a version."""
        if not self.is_deleted() and self.held:
            self.held.append(Held(self._new(enabled=enabled)))

    def change(self, number, **changes):
        """Let somebody else change a version."""
        if self.held:
            one = self.held[number % len(self.held)]
            one.seen = replace(one.seen, **changes)

    def switch(self, number, *, enabled):
        """Enable or disable a version by a job of this console."""
        ours = [one for one in self.held if one.key is not None]
        if not ours or self.is_deleted():
            return
        one = ours[number % len(ours)]
        version = self._row(one)
        one.seen, one.wanted["enabled"] = replace(one.seen, enabled=enabled), enabled
        with transaction.atomic():
            lifecycle.record_enabled(version=version, enabled=enabled)
            drift.observe(self.group, version, one.seen)
            drift.recount(self.group)

    def compare(self):
        """Look at all versions, as a comparison does."""
        self.group.refresh_from_db()
        if not self.held or self.is_deleted():
            return
        with transaction.atomic():
            lifecycle.record_current(group=self.group, azure_version=self.held[-1].seen.azure_version)
            for one in self.held:
                drift.observe(self.group, self._row(one) if one.key else None, one.seen)
            drift.forget_others(self.group, [one.seen.azure_version for one in self.held])
            drift.recount(self.group, is_compared=True)

    def accept(self, number):
        """Accept a difference, as a person does on the page."""
        open_rows = [row for row in self.group.observations.order_by("azure_version") if not why_not_accept(row)]
        if not open_rows:
            return
        row = open_rows[number % len(open_rows)]
        accept_drift(observation=row, actor=self.actor)
        one = next(one for one in self.held if one.seen.azure_version == row.azure_version)
        accepted = {"enabled": row.enabled, "expires_on": row.expires_on, "not_before": row.not_before}
        one.wanted = {**accepted, "tags": row.tags}

    def delete(self):
        """Delete the Azure key, so that it can be recovered."""
        if self.held and not self.is_deleted():
            lifecycle.record_deleted(group=self.group, deleted_at=now(), scheduled_purge_at=now() + timedelta(days=90))

    def recover(self):
        """Recover the Azure key."""
        if self.is_deleted():
            lifecycle.record_recovered(group=self.group)

    def purge(self):
        """Purge the Azure key."""
        if self.is_deleted():
            lifecycle.record_purged(group=self.group)
            self.held.clear()

    def is_deleted(self):
        """Whether the Azure key is deleted and recoverable."""
        self.group.refresh_from_db()
        return self.group.cloud_state == "soft_deleted"

    def _new(self, *, enabled):
        self.at += timedelta(seconds=1)
        return Seen(azure_version=uuid4().hex, kid="kid", enabled=enabled, created_on=self.at)

    def _row(self, one):
        return CloudVersion.objects.select_related("key", "group").get(azure_version=one.seen.azure_version)

    # --- what is so --------------------------------------------------------------------------
    def truth(self):
        """What must be said of each of our keys after a comparison, by name, and of the group."""
        states = {}
        for one in self.held:
            if one.key is None:
                continue
            label = "Active" if one is self.held[-1] else "Superseded"
            label = label if one.seen.enabled else "Disabled"
            states[one.key.name] = f"{label}, differs" if one.deviates() else label
        return states

    def group_truth(self):
        """What must be said of the group after a comparison."""
        if any(one.deviates() or (one.key is None and not one.wanted) for one in self.held):
            return "In the vault, differs"
        has_active = any(text.startswith("Active") for text in self.truth().values())
        return "In the vault" if has_active else "In the vault, no active version"


# --- what is said --------------------------------------------------------------------------------
def readings(group, pages):
    """What each reader says: of the group, and of each key by name. One element each when they agree."""
    group = KeyGroup.objects.get(pk=group.pk)
    page = pages.get(reverse("keygroups:keys"), {"group": group.pk}).content.decode()
    of_group = {_badges(page.partition("<h2>")[2])[0], _badges(page.partition(f'id="node-group:{group.pk}"')[2])[0]}
    (value,) = [value for value in GROUP_STATES if list_groups(state=value).filter(pk=group.pk).exists()]
    of_group.add(str(GROUP_STATES[value].label))
    assert count_by_state()[value] >= 1
    branch = pages.get(reverse("keygroups:branch"), {"node": f"group:{group.pk}"}).content.decode()
    exported = pages.get("/reports/key-age/export.csv", {"q": group.name})
    rows = csv.DictReader(io.StringIO(b"".join(exported.streaming_content).decode("utf-8-sig"), newline=""))
    reported = {row["name"]: str(VERSION_STATES[row["in_vault"]].label) for row in rows}
    of_keys = {}
    for key in group.keys.all():
        own = pages.get(key.get_absolute_url()).content.decode()
        of_keys[key.name] = {
            _badges(page.partition(f'id="key-{key.pk}"')[2].partition('data-label="In Azure"')[2])[0],
            _badges(branch.partition(f'id="node-key:{key.pk}"')[2])[0],
            reported[key.name],
            _badges(own.partition('id="key-azure"')[2])[0],
            _badges(own.partition('<tr class="table-active" aria-current="true"')[2])[0],
        }
    return of_group, of_keys


def contradictions(group, said):
    """Yield in words where two readers say different things; ``said`` comes from ``readings``."""
    group = KeyGroup.objects.get(pk=group.pk)
    of_group, of_keys = said
    if len(of_group) != 1:
        yield f"the group is {of_group}"
    yield from (f"{name} is {words}" for name, words in of_keys.items() if len(words) != 1)
    text = next(iter(of_group))
    if ("differs" in text) != bool(group.differences):
        yield f"the group is “{text}” with {group.differences} differences"
    if ("differs" in text) != list_groups(show="drift").filter(pk=group.pk).exists():
        yield "the filter of what differs does not follow the state"
    active = [name for name, words in of_keys.items() if any(each.startswith("Active") for each in words)]
    if text == "In the vault" and len(active) != 1:
        yield f"the group is in the vault and {active} are active"
    current = group.cloud_versions.filter(azure_version=group.current_version).values_list("key__name", flat=True)
    if active and list(current) != active:
        yield f"{active} is active, the page of each key calls {list(current)} current"
    if blockers.situation_of_group(group).has_active_version != bool(active):
        yield "the menu of the group does not know the active version"
    yield from _menus(group, of_keys)


def _menus(group, of_keys):
    for key in group.keys.all():
        text = next(iter(of_keys[key.name])).removesuffix(", differs")
        enable, disable = blockers.why_not_enable(key), blockers.why_not_disable(key)
        wanted = {
            "Disabled": ("", "Disabled already"),
            "Active": ("Enabled already", ""),
            "Superseded": ("Enabled already", ""),
        }.get(text)
        if wanted is not None and (enable, disable) != wanted:
            yield f"{key.name} is {text}, the menu says {(enable, disable)}"
        if wanted is None and not (enable and disable):
            yield f"{key.name} is {text} and can be switched"
        if text in {"Active", "Superseded", "Disabled"} and "Synchronized already" not in blockers.why_not_synchronize(
            key
        ):
            yield f"{key.name} is {text} and can be pushed"


def counts_agree(groups):
    """Whether the home page counts what the groups' rows say."""
    differing = sum(bool(group.differences) for group in groups)
    missing = CloudVersion.objects.filter(state="missing").count()
    return (count_rotations().drifting, count_versions().missing) == (differing, missing)


def stored(group):
    """The states of the versions the vault stores, for a failing test's story."""
    states = [*STORED_VERSION_STATES, *LIVE_VERSION_STATES]
    return list(group.cloud_versions.filter(state__in=states).values_list("key__name", "state", "differs"))


def _badges(text):
    return [html.unescape(found).strip() for found in BADGE.findall(text[:4000])]
