"""Random walks through the life of a group's keys and versions: whatever is asked in whatever order,
the rows keep their promises, and a move that is refused changes nothing.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cloudcreds.models import CloudCredential, KeyVault
from keygroups import lifecycle
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.version_moves import Pushed
from kmes.core.clock import now
from kmes.core.errors import ConflictError

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
WALKS = 60 if os.environ.get("FAULTS") == "all" else 20
CHOICE = st.integers(0, 5)


class Life(RuleBasedStateMachine):
    """One group; keys are numbered in the order they were made."""

    make_group = staticmethod(lambda: None)

    def __init__(self):
        super().__init__()
        self.group = self.make_group()
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def _keys(self):
        return list(self.group.keys.order_by("created_at"))

    def _versions(self):
        return list(CloudVersion.objects.filter(group=self.group).order_by("id"))

    def _snapshot(self):
        versions = CloudVersion.objects.filter(group=self.group).order_by("id").values_list("id", "state", "enabled")
        return list(versions), list(Key.objects.filter(group=self.group).order_by("id").values_list("id", "state"))

    def _attempt(self, move):
        """Make a move; a refused one must leave everything as it was."""
        before = self._snapshot()
        try:
            with transaction.atomic():
                move()
        except ConflictError:
            assert self._snapshot() == before

    def _pick(self, rows, number):
        return rows[number % len(rows)]

    @rule()
    def make_key(self):
        count = self.group.keys.count()
        if count < 6:
            Key.objects.create(
                group=self.group,
                name=f"key-{count}",
                key_spec="P-256",
                public_spki=b"public",
                wrapped_private=b"wrapped",
                thumbprint=f"{count:064x}",
            )

    @precondition(lambda self: self.group.keys.exists())
    @rule(number=CHOICE)
    def push(self, number):
        self._attempt(lambda: lifecycle.begin_push(key=self._pick(self._keys(), number)))

    @precondition(lambda self: self._versions())
    @rule(number=CHOICE, enabled=st.booleans())
    def arrive(self, number, enabled):
        version = self._pick(self._versions(), number)
        self.at += timedelta(minutes=1)
        name = f"{self.at:%Y%m%d%H%M}"
        # The job knows which version it pushed: only one that is on its way arrives.
        if version.state == "pushing" and self.group.cloud_state != "soft_deleted":
            self._attempt(
                lambda: lifecycle.record_pushed([Pushed(version, name, f"kid/{name}", self.at, enabled=enabled)])
            )

    @precondition(lambda self: self.group.keys.exists())
    @rule(number=CHOICE)
    def give_up(self, number):
        self._attempt(lambda: lifecycle.fail_push(key=self._pick(self._keys(), number)))

    @precondition(lambda self: self._versions())
    @rule(number=CHOICE, enabled=st.booleans())
    def switch(self, number, enabled):
        version = self._pick(self._versions(), number)
        if version.state in LIVE_VERSION_STATES:
            self._attempt(lambda: lifecycle.record_enabled(version=version, enabled=enabled))

    @precondition(lambda self: self._versions())
    @rule(number=CHOICE)
    def lose(self, number):
        self._attempt(lambda: lifecycle.record_missing(version=self._pick(self._versions(), number)))

    @rule(recoverable=st.booleans())
    def delete(self, recoverable):
        self.group.refresh_from_db()
        if self.group.cloud_state == "live":
            until = self.at + timedelta(days=90) if recoverable else None
            self._attempt(
                lambda: lifecycle.record_deleted(group=self.group, deleted_at=self.at, scheduled_purge_at=until)
            )

    @rule(purge=st.booleans())
    def after_deletion(self, purge):
        self.group.refresh_from_db()
        if self.group.cloud_state == "soft_deleted":
            move = lifecycle.record_purged if purge else lifecycle.record_recovered
            self._attempt(lambda: move(group=self.group))

    @precondition(lambda self: self.group.keys.exists())
    @rule(number=CHOICE)
    def destroy(self, number):
        self._attempt(lambda: lifecycle.destroy_key(key=self._pick(self._keys(), number)))

    @invariant()
    def at_most_one_version_is_active(self):
        assert sum(version.state == "active" for version in self._versions()) <= 1

    @invariant()
    def the_active_version_is_the_newest_live_enabled_one(self):
        live = [version for version in self._versions() if version.state in LIVE_VERSION_STATES]
        active = [version for version in live if version.state == "active"]
        if active:
            assert active[0].pushed_at == max(version.pushed_at for version in live)
            assert active[0].enabled

    @invariant()
    def a_key_has_one_living_version_at_most(self):
        living = [v.key_id for v in self._versions() if v.state not in {"purged", "failed", "missing"}]
        assert len(living) == len(set(living))

    @invariant()
    def a_destroyed_key_has_no_material_and_a_present_one_has(self):
        for key in self._keys():
            assert bool(bytes(key.wrapped_private)) == (key.state == "present")

    @invariant()
    def a_deleted_group_has_no_live_version(self):
        self.group.refresh_from_db()
        live = [version for version in self._versions() if version.state in LIVE_VERSION_STATES]
        if self.group.cloud_state in {"soft_deleted", "purged", "absent"}:
            assert live == []


def test_a_group_keeps_its_promises_on_every_walk(db):
    credential = CloudCredential.objects.create(
        name="cred", tenant_id="t", client_id="c", sealed_secret=b"x", secret_set_at=now()
    )
    vault = KeyVault.objects.create(credential=credential, name="kv", url="https://kv.vault.azure.net")
    numbers = iter(range(10**6))

    def make_group():
        number = next(numbers)
        return KeyGroup.objects.create(
            name=f"g{number}",
            key_spec="P-256",
            usage=["sign"],
            credential=credential,
            vault=vault,
            azure_name=f"g{number}",
        )

    Life.make_group = staticmethod(make_group)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=WALKS, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
