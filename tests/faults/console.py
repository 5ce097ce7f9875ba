"""What a user of a running installation asks for, and what its rows say; runs beside it, in its environment.

``python -m tests.faults.console COMMAND…`` prints JSON: ``load GROUPS KEYS`` makes groups and keys, waits for
them, and asks for one push per group; ``jobs`` tells each job's state; ``facts`` what is known of keys.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

import django

SECONDS = 120


def main(command, *arguments):
    """Do what was asked and print the answer."""
    print(json.dumps({"load": load, "jobs": jobs, "facts": facts, "due": due}[command](*arguments), default=str))


def _actor(name):
    from kmes.accounts.models import User
    from kmes.core.actor import Actor

    return Actor.from_user(User.objects.get(username=name))


def _credential(stand_in, actor):
    from cloudcreds.models import CloudCredential
    from cloudcreds.services import create_credential
    from cloudcreds.values import CredentialValues
    from kmes.core.secret_types import SecretText
    from tests.jobs.builders import CLIENT, TENANT

    values = CredentialValues(
        name="Faults",
        tenant_id=TENANT,
        client_id=CLIENT,
        secret=SecretText("emulator-secret"),
        cloud="custom",
        authority_url=stand_in,
        arm_url=stand_in,
    )
    return CloudCredential.objects.filter(name="Faults").first() or create_credential(values=values, actor=actor)


def load(stand_in, vault, prefix, groups, keys, user="admin1"):
    """Make groups with keys, wait until the worker has made them, and ask for one push per group."""
    from jobs.kinds.create.spec import request_create_keys
    from jobs.kinds.synchronize.spec import request_synchronize
    from keygroups.services import create_group
    from keygroups.values import GroupValues

    actor = _actor(user)
    made, waiting = [], []
    for number in range(int(groups)):
        values = GroupValues(
            name=f"{prefix}-{number}",
            credential=_credential(stand_in, actor),
            vault=vault,
            key_spec="P-256",
            rotate=False,
        )
        group = create_group(values=values, actor=actor)
        names = [f"{prefix}-{number}-{key}" for key in range(int(keys))]
        waiting.append(request_create_keys(group=group, names=names, actor=actor))
        made.append(group)
    end = time.monotonic() + SECONDS
    while any(job.state != "succeeded" for job in waiting) and time.monotonic() < end:
        time.sleep(0.1)
        for job in waiting:
            job.refresh_from_db()
    return [request_synchronize(keys=list(group.keys.all()), actor=actor).code for group in made]


def due(*names):
    """Let groups' rotations have fallen due."""
    from keygroups.models import KeyGroup
    from kmes.core.clock import now

    moment = now() - timedelta(minutes=5)
    return KeyGroup.objects.filter(name__in=names).update(
        rotate=True, rotation_anchor_at=moment - timedelta(days=90), next_due_at=moment
    )


def jobs():
    """Tell each job's state, how often it was claimed, and what it waits for."""
    from jobs.models import Job

    return {job.code: [job.kind, job.state, job.fence, job.waiting_for, job.error_what] for job in Job.objects.all()}


def facts():
    """Tell what the rows say: versions by key, KEKs not gone, calls in doubt, and broken chains of the log."""
    from jobs.models import EphemeralKek, Intent
    from keygroups.models import CloudVersion
    from logging_reports.choices import Service
    from logging_reports.verification import verify_service

    return {
        "versions": dict(CloudVersion.objects.exclude(azure_version="").values_list("azure_version", "azure_name")),
        "keks": list(EphemeralKek.objects.exclude(state="gone").values_list("name", flat=True)),
        "in_doubt": Intent.objects.filter(state__in=["pending", "unknown"]).count(),
        "broken_chains": [service for service in Service if not verify_service(service).is_intact],
    }


if __name__ == "__main__":
    django.setup()
    main(*sys.argv[1:])
