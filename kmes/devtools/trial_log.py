"""Made-up log rows about the keys of ``trial_data``; the log that holds them verifies.

Only ``manage.py seed`` may call this.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle
from uuid import UUID

from kmes.core.clock import now
from kmes.devtools.trial_data import NAME, SPAN, SeededKey
from logging_reports.choices import Category, Service, Severity
from logging_reports.models import LogEntry
from logging_reports.trial_history import MARK, append_history

ACTORS = ("schedule", "admin1", "admin2", "carla", "dmitri")
# What one push leaves in the Azure Service log, in order (docs/console.md#log-categories): event, category, HTTP status, words.
PUSH = (
    ("azure.token_obtained", Category.AUTHENTICATION, 200, "Token obtained for {vault}"),
    ("azure.vault_looked_up", Category.VAULT, 200, "Vault {vault} looked up: Premium, recoverable"),
    ("azure.kek_created", Category.KEK, 200, "KEK kmes-kek-{job} created in {vault}"),
    ("azure.kek_public_read", Category.KEK, 200, "KEK public key read"),
    ("azure.key_wrapped", Category.KEY_WRAP, None, "Key {key} wrapped under kmes-kek-{job}"),
    ("azure.intent", Category.IMPORT, None, "Import of {key} about to be sent"),
    ("azure.key_imported", Category.IMPORT, 200, "Key {key} imported as version {version}"),
    ("azure.import_verified", Category.VERIFICATION, 200, "Import of {key} verified"),
    ("azure.kek_deleted", Category.KEK, 200, "KEK kmes-kek-{job} deleted"),
    ("azure.kek_purged", Category.KEK, 204, "KEK kmes-kek-{job} purged"),
)
AUDIT = (
    ("access.login", Category.ACCESS, "Signed in"),
    ("job.requested", Category.JOBS, "Synchronize HSM Protected key(s) requested for {group}"),
    ("job.started", Category.JOBS, "Job job-{job} started"),
    ("job.finished", Category.JOBS, "Job job-{job} finished"),
)
# One in so many calls fails, one in so many is throttled.
FAILURE_EVERY, THROTTLED_EVERY = 211, 97


def azure_rows(seeded_keys: list[SeededKey]) -> Iterator[LogEntry]:
    """Yield rows of made-up pushes without end; some calls fail, some are throttled."""
    source = random.Random(1)  # noqa: S311 - the same history each time
    number = 0
    for each in cycle(seeded_keys):
        for event, category, status, words in PUSH:
            number += 1
            row = _row(Service.AZURE, event, category, each, ACTORS[number // len(PUSH) % len(ACTORS)], words)
            row.http_status = status
            row.duration_ms = source.randrange(4, 900)
            row.provider_request_id = str(UUID(int=source.getrandbits(128)))
            if number % FAILURE_EVERY == 0:
                row.severity, row.event, row.http_status = Severity.ERROR.value, "azure.call_failed", 503
                row.message = f"The vault {each.vault} answered 503 (ServiceUnavailable)"
            elif number % THROTTLED_EVERY == 0:
                row.severity, row.event, row.http_status = Severity.WARNING.value, "azure.throttled", 429
                row.category, row.message = Category.THROTTLING.value, "Throttled: asked to wait 4 s"
            yield row


def audit_rows(seeded_keys: list[SeededKey]) -> Iterator[LogEntry]:
    """Yield rows of made-up sign-ins and jobs without end."""
    for number, each in enumerate(cycle(seeded_keys)):
        for event, category, words in AUDIT:
            yield _row(Service.AUDIT, event, category, each, ACTORS[number % len(ACTORS)], words)


def device_rows(seeded_keys: list[SeededKey]) -> Iterator[LogEntry]:
    """Yield rows of made-up key generation without end."""
    for each in cycle(seeded_keys):
        yield _row(Service.DEVICE, "device.key_generated", Category.DEVICE, each, "system", "Key {key} made")


ROWS = {Service.AZURE: azure_rows, Service.AUDIT: audit_rows, Service.DEVICE: device_rows}
# How the rows divide among the logs, in percent.
SHARES = {Service.AZURE: 75, Service.AUDIT: 20, Service.DEVICE: 5}


def split(count: int) -> dict[Service, int]:
    """Divide a number of rows among the logs; the last log takes what rounding leaves."""
    counts = {service: count * share // 100 for service, share in SHARES.items()}
    counts[Service.DEVICE] += count - sum(counts.values())
    return counts


def write_rows(service: Service, seeded_keys: list[SeededKey], count: int) -> Iterator[int]:
    """Append rows to one log, spread over the last year; yields how many are written after each batch."""
    return append_history(service, ROWS[service](seeded_keys), count=count, since=now() - SPAN)


def _row(service: Service, event: str, category: Category, about: SeededKey, actor: str, words: str) -> LogEntry:
    message = words.format(
        vault=about.vault, key=about.key, group=about.group, job=about.job_code, version=about.version
    )
    return LogEntry(
        service=service.value,
        category=category.value,
        severity=Severity.INFO.value,
        event=event,
        actor_name=actor,
        actor_trigger="schedule" if actor == "schedule" else "user",
        credential_id=about.credential_id,
        credential=NAME,
        vault=about.vault,
        group_id=about.group_id,
        group=about.group,
        key_id=about.key_id,
        key=about.key,
        version=about.version,
        job_id=about.job_id,
        job_code=about.job_code,
        message=message,
        data=MARK,
    )
