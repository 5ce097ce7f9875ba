"""A small installation whose way to the cloud leads through the relay, and an observer who asks the vault directly.

Everything that names a module of the provider stands here or in conftest, so that the tests speak of behaviour only.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from datetime import timedelta

import hypothesis
import pytest
from django.core.management import call_command
from django.db import connection

from cloudcreds.azure.clients import forget_clients
from jobs.engine import execution
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from jobs.services import request_cancel
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.faults.invariants import in_the_vault
from tests.faults.operations import NAME
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, Ending, Framing, When, envelope, page
from tests.faults.relay.rules import Rule
from tests.faults.world import World

# DAMAGES=all tries every way; ``make faults`` those that differ in kind.
ALL = os.environ.get("DAMAGES") == "all"
# No search for the smallest example: each costs seconds, and any one is a reproduction.
IN_EXAMPLES = hypothesis.settings(
    max_examples=60 if ALL else 12,
    deadline=None,
    database=None,
    derandomize=not ALL,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
VERSIONS = f"/keys/{NAME}/versions"
KEY = f"/keys/{NAME}"
ONE_VERSION = f"/keys/{NAME}/*"
DELETED = f"/deletedkeys/{NAME}"
KEKS = "/keys/kmes-kek-*"
DELETED_KEKS = "/deletedkeys/kmes-kek-*"


def without(*place):
    """Return damage that takes a member out of the service's own answer, where it has it."""

    def edit(_call, body):
        document = at = json.loads(body) if body else {}
        for step in place[:-1]:
            at = at[step] if isinstance(at, list) else at.get(step, {})
        if isinstance(at, dict):
            at.pop(place[-1], None)
        return json.dumps(document).encode() if body else body

    return Damage(edit=edit)


# Answers to a reading that are no answer of Key Vault: none says anything about a key.
NO_ANSWERS = {
    "404 page": page(404, when=When.BEFORE),
    "404 without body": Damage(when=When.BEFORE, status=404, body=b"", content_type=""),
    "404 of a gateway, as JSON": envelope(404, "GatewayRouteNotFound", "No route."),
    "404 of Resource Manager": envelope(404, "ResourceNotFound", "The resource was not found."),
    "404 with other JSON": Damage(when=When.BEFORE, status=404, body=b'{"message":"no"}', content_type=JSON_TYPE),
    "404 KeyNotFound as a page": Damage(
        when=When.BEFORE, status=404, body=b"<pre>KeyNotFound</pre>", content_type="text/html"
    ),
    "410 page": page(410, when=When.BEFORE),
    "200 page": page(200, when=When.BEFORE),
    "200 empty": Damage(when=When.BEFORE, status=200, body=b"", content_type=""),
    "200 other JSON": Damage(when=When.BEFORE, status=200, body=b'{"status":"ok"}', content_type=JSON_TYPE),
    "200 list": Damage(when=When.BEFORE, status=200, body=b"[]", content_type=JSON_TYPE),
    "204": Damage(when=When.BEFORE, status=204, body=b"", content_type=""),
    "302": Damage(when=When.BEFORE, status=302, body=b"", headers={"Location": "https://login.example.invalid/"}),
    "403 page": page(403, when=When.BEFORE),
    "407 page": page(407, when=When.BEFORE),
    "202": Damage(status=202),
    "103, then nothing": Damage(when=When.BEFORE, status=103, body=b"", content_type=""),
    "gzip that is none": Damage(headers={"Content-Encoding": "gzip"}),
    "br": Damage(edit=lambda _call, _body: b"\x8b\x02\x80{}\x03", headers={"Content-Encoding": "br"}),
    "UTF-16": Damage(edit=lambda _call, body: body.decode().encode("utf-16")),
    "deeply nested": Damage(body=b"[" * 100_000, content_type=JSON_TYPE),
    "header of 70 KB": Damage(headers={"X-Long": "a" * 70_000}),
    "150 headers": Damage(headers={f"X-{number}": "a" for number in range(150)}),
    "cut in the middle": Damage(cut=40, framing=Framing.SENT),
    "cut, connection closed": Damage(cut=40),
}
# What comes back for a change that was carried out, and says nothing about it.
LOST_ANSWERS = {
    "cut, shorter than announced": Damage(cut=40),
    "cut, looks complete": Damage(cut=40, framing=Framing.SENT),
    "cut, no length": Damage(cut=40, framing=Framing.CLOSE),
    "cut, chunked": Damage(cut=40, framing=Framing.CHUNKED),
    "cut head": Damage(cut_head=12),
    "empty": Damage(body=b"", content_type=""),
    "without attributes": without("attributes"),
    "without times": without("attributes", "created"),
    "202": Damage(status=202),
    "103": Damage(status=103),
    "gzip that is none": Damage(headers={"Content-Encoding": "gzip"}),
    "gzip cut": Damage(edit=lambda _call, body: gzip.compress(body)[:-12], headers={"Content-Encoding": "gzip"}),
    "UTF-16": Damage(edit=lambda _call, body: body.decode().encode("utf-16")),
    "deeply nested": Damage(body=b"[" * 100_000, content_type=JSON_TYPE),
    "header of 70 KB": Damage(headers={"X-Long": "a" * 70_000}),
    "200 page": page(200),
    "200 other JSON": Damage(body=b'{"status":"ok"}', content_type=JSON_TYPE),
    "201 page": page(201),
    "302 page": page(302, headers={"Location": "https://login.example.invalid/"}),
    "400 page": page(400),
    "403 page": page(403),
    "404 page": page(404),
    "404 of a gateway": envelope(404, "GatewayRouteNotFound", when=When.AFTER),
    "407 page": page(407),
    "408 page": page(408),
    "409 page": page(409),
    "413 page": page(413),
    "429 page": page(429, headers={"Retry-After": "0"}),
    "429 of a gateway": envelope(429, "TooManyRequests", when=When.AFTER, headers={"Retry-After": "1"}),
    "500 page": page(500),
    "502 page": page(502),
    "520 page": page(520),
    "reset": Damage(reset=True),
    "reset in the body": Damage(cut=40, ending=Ending.RESET),
}


def each_of(ways, short=()):
    """Parametrize a test by some damage: by all of it if DAMAGES=all, else by what ``short`` names, if anything."""
    names = ways if ALL or not short else short
    return pytest.mark.parametrize("damage", [pytest.param(ways[name], id=name) for name in names])


class RelayedWorld(World):
    """The world of the fault tests, with the relay between console and cloud."""

    def __init__(self, group, actor, vault, stand_in, patch, relay, texts):
        super().__init__(group, actor, vault, stand_in, patch)
        self.relay = relay
        # All that was logged by any library or by us, formatted.
        self.texts = texts

    # --- damaging ----------------------------------------------------------------------------
    def damage(self, damage, method="*", path="*", **more):
        """Put a rule in force: by default for the next matching call only."""
        return self.relay.add(Rule(damage, method=method, path=path, **more))

    def damage_sign_in(self, damage, *, count=1, part=Part.TOKEN):
        """Damage the next sign-in: nobody has a token now."""
        self.sign_out()
        return self.relay.add(Rule(damage, part=part, count=count))

    def sign_out(self):
        """Forget tokens, connections and challenges, as a new worker process has none."""
        forget_clients()

    def change_destination(self, row, **columns):
        """Change a row that says where keys and secrets go, and vouch for all such rows as an administrator does."""
        type(row).objects.filter(pk=row.pk).update(**columns)
        row.refresh_from_db()
        call_command("authorize_existing", yes=True, stdout=io.StringIO())

    def calm(self):
        """End all damage."""
        self.relay.calm()
        super().calm()

    # --- asking ------------------------------------------------------------------------------
    def push(self, *keys):
        """Ask for a push."""
        return request_synchronize(keys=list(keys), actor=self.actor)

    def compare(self, group=None):
        """Compare with the vault once and return the job."""
        job = request_check_drift(group=group or self.group, actor=self.actor)
        self.work(job)
        return job

    def synchronize_all(self):
        """Push all that this console thinks the vault lacks, as Synchronize on the group does."""
        keys = keys_to_synchronize(KeyGroup.objects.get(pk=self.group.pk))
        if keys:
            self.rest(self.push(*keys))
        return keys

    def make_due(self, *, days=90):
        """Let the group's rotation have fallen due, and return its job."""
        due = now() - timedelta(minutes=5)
        KeyGroup.objects.filter(pk=self.group.pk).update(
            rotation_anchor_at=due - timedelta(days=days), next_due_at=due, rotate=True
        )
        (job_id,) = scans.scan_rotations()
        return Job.objects.get(pk=job_id)

    def there(self):
        """What the vault holds: version -> (thumbprint, enabled), oldest first."""
        return in_the_vault(self.vault)

    def counts(self):
        """How often each key stands in the vault."""
        return Counter(print_ for print_, _enabled in self.there().values())

    def current(self):
        """The version that the vault calls current."""
        return self.vault.client.get_key(NAME).properties.version

    def states(self):
        """What this console says of each version: key's name -> state, for those that are or were in the vault."""
        rows = self.group.cloud_versions.exclude(state="failed").select_related("key")
        return {row.key.name: row.state for row in rows}

    def words(self, job):
        """All that a job says of itself."""
        job.refresh_from_db()
        said = [*job.messages.values_list("text", flat=True), job.error_what, job.error_remedy, job.waiting_for]
        return "\n".join([*said, *job.targets.values_list("detail", flat=True)])

    def log_texts(self):
        """The messages of the System Logs, oldest first."""
        return list(LogEntry.objects.order_by("pk").values_list("message", flat=True))


class Texts(logging.Handler):
    """Keeps all that any logger says, as a worker's log would show it, with tracebacks."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self._text = io.StringIO()

    def emit(self, record):
        """Keep one record."""
        self._text.write(self.format(record) + "\n")

    def all(self):
        """Return everything so far."""
        return self._text.getvalue()


def made_versions_agree(world):
    """Assert that no key stands twice in the vault and that page and vault agree on each version."""
    there = world.there()
    assert max(world.counts().values(), default=0) <= 1, "a key stands twice in the vault"
    live = {"active", "superseded", "disabled"}
    known = {row.azure_version: row for row in CloudVersion.objects.filter(state__in=live).select_related("key")}
    ours = set(Key.objects.values_list("thumbprint", flat=True))
    assert {version for version, (print_, _on) in there.items() if print_ in ours} == set(known)
    for version, row in known.items():
        assert there[version] == (row.key.thumbprint, row.enabled), row.key.name
    group = KeyGroup.objects.get(pk=world.group.pk)
    assert (group.cloud_state == "live") == bool(there)
    active = [row.azure_version for row in known.values() if row.state == "active"]
    if there and world.current() in known and known[world.current()].enabled:
        assert active == [world.current()], "the active version is not the one that the vault calls current"


class InBackground:
    """Runs a job as a worker beside the test does, so that the test can watch, cancel and measure."""

    def __init__(self, world, job):
        self.world, self.job, self.began = world, job, time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.world.calm()
        self._ended.wait(60)
        self._thread.join(5)

    def _run(self):
        try:
            execution.execute(self.job.pk, owner="worker beside")
        finally:
            self._ended.set()
            connection.close()

    def cancel(self):
        """Ask for the job's end, as a person does."""
        request_cancel(job=self.job, actor=self.world.actor)

    def is_back_within(self, seconds):
        """Whether the worker has given the job back, or ended it, in this time from now."""
        return self._ended.wait(seconds)


def turn(world):
    """One turn of beat and a worker: what waits for its moment has waited enough."""
    past = now() - timedelta(seconds=1)
    Job.objects.filter(state="queued").update(run_after=past)
    Job.objects.filter(state="running").update(lease_until=past)
    for job_id in scans.find_claimable():
        world.work(Job.objects.get(pk=job_id))


def text_of(response):
    """A page's text without markup."""
    assert response.status_code == 200, response.content[:300]
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
