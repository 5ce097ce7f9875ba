"""Drives pushes through the product's services; the installation's own worker runs them.

Part of the bench: what it times is a job, from the request to its end. Needs Django set up before it is imported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from cloudcreds.services import create_credential
from cloudcreds.values import CredentialValues
from jobs.choices import FINAL_STATES, SUCCEEDED_STATES
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.services import create_group
from keygroups.values import GroupValues
from kmes.accounts.models import User
from kmes.core.actor import Actor
from kmes.core.secret_types import SecretText
from kmes.devtools.temporary_instance import CLIENT, CLIENT_SECRET, TENANT, TemporaryInstance, UnexpectedResult

JOB_SECONDS = 120.0
POLL_SECONDS = 0.005


@dataclass
class PushDriver:
    """Asks the services for jobs and waits for their end."""

    credential: Any
    actor: Any
    vault_url: str
    # The first part of the names of key groups and keys.
    name: str = "bench"
    _count: int = field(default=0)

    @classmethod
    def of(cls, temporary: TemporaryInstance) -> PushDriver:
        """Act as admin1, with a credential of the stand-in's client."""
        actor = Actor.from_user(User.objects.get(username="admin1"))
        values = CredentialValues(
            name="Bench",
            tenant_id=TENANT,
            client_id=CLIENT,
            secret=SecretText(CLIENT_SECRET),
            cloud="custom",
            authority_url=temporary.instance.stand_in_url,
            arm_url=temporary.instance.stand_in_url,
        )
        return cls(create_credential(values=values, actor=actor), actor, temporary.vault_url())

    def make_keys(self, count: int) -> list[Any]:
        """Make a key group of its own with P-256 keys, which is no part of a push."""
        self._count += 1
        values = GroupValues(
            name=f"{self.name}-{self._count}",
            credential=self.credential,
            vault=self.vault_url,
            key_spec="P-256",
            rotate=False,
        )
        group = create_group(values=values, actor=self.actor)
        names = [f"{self.name}-{self._count}-{number}" for number in range(count)]
        self._wait_for(request_create_keys(group=group, names=names, actor=self.actor))
        return list(group.keys.all())

    def push(self, keys: list[Any]) -> float:
        """Push keys by one job; returns the seconds from the request to the job's end."""
        started = time.perf_counter()
        self._wait_for(request_synchronize(keys=keys, actor=self.actor))
        return time.perf_counter() - started

    def push_side_by_side(self, count: int, *, keys_each: int) -> None:
        """Push by some jobs at once, so that each of the worker's processes gets one."""
        keys = [self.make_keys(keys_each) for _ in range(count)]
        for job in [request_synchronize(keys=each, actor=self.actor) for each in keys]:
            self._wait_for(job)

    def _wait_for(self, job: Any) -> None:
        """Wait for a job's success.

        Raises UnexpectedResult when it ends otherwise or not at all.
        """
        deadline = time.monotonic() + JOB_SECONDS
        while job.state not in FINAL_STATES and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            job.refresh_from_db(fields=["state", "error_what"])
        if job.state not in SUCCEEDED_STATES:
            message = f"Job {job.code} is {job.state} after {JOB_SECONDS:.0f} s at most: {job.error_what}"
            raise UnexpectedResult(message)
