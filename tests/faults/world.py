"""A small installation under fault: one group in one vault, a job, and the way to rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from azure.keyvault.keys import KeyRotationLifetimeAction, KeyRotationPolicy

from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.synchronize.spec import request_synchronize
from tests.faults.operations import NAME

ROOT = Path(__file__).resolve().parents[2]
QUARANTINE_SECONDS = 2
SEND_SECONDS = 1
ROUNDS = 60
PAUSE_SECONDS = 0.1


class World:
    """What a case acts on. ``actor`` is an administrator; what ``patch`` changes lasts as long as the world."""

    def __init__(self, group, actor, vault, stand_in, patch):
        self.patch = patch
        self.group, self.actor, self.vault, self.stand_in = group, actor, vault, stand_in
        # Until then a request that the client has given up may still take effect.
        self.landing_until = 0.0
        # Then a KEK that was not purged is left to Azure for good, and its ledger row says so.
        self.has_refused_purge = False

    # --- asking ------------------------------------------------------------------------------
    def make_keys(self, *names):
        """Make keys in the device."""
        self.run(request_create_keys(group=self.group, names=list(names), actor=self.actor))
        return list(self.group.keys.filter(name__in=names).order_by("created_at"))

    def push_one(self):
        """Bring one key into the vault, without faults."""
        (key,) = self.make_keys("first")
        self.run(request_synchronize(keys=[key], actor=self.actor))
        return key

    def rotate_in_azure(self):
        """Let somebody give the group's Azure key a Rotate action."""
        action = KeyRotationLifetimeAction("Rotate", time_after_create="P90D")
        self.vault.client.update_key_rotation_policy(NAME, KeyRotationPolicy(), lifetime_actions=[action])

    def run(self, job):
        """Run a job that must succeed at once."""
        self.work(job)
        assert job.state == "succeeded", (job.error_what, job.error_remedy)

    # --- working -----------------------------------------------------------------------------
    def work(self, job, owner="worker"):
        """Give the job to a worker in this process, once."""
        from jobs.engine import execution

        execution.execute(job.pk, owner=owner)
        job.refresh_from_db()
        self.group.refresh_from_db()

    def work_elsewhere(self, job, failpoints, *, timeout=60):
        """Give the job to a worker process with failpoints; returns its exit code."""
        process = self.start_worker(job, failpoints)
        try:
            return process.wait(timeout)
        finally:
            process.kill()
            process.wait()

    def start_worker(self, job, failpoints):
        """Start a worker process on the job."""
        from django.db import connection

        values = connection.settings_dict
        url = f"sqlite:///{values['NAME']}"
        if connection.vendor == "postgresql":
            url = f"postgres://{values['USER']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "KMES_PROCESS": "worker",
            "KMES_FAILPOINTS": failpoints,
            "KMES_UNKNOWN_QUARANTINE_SECONDS": str(QUARANTINE_SECONDS),
            "KMES_SEND_SECONDS": str(SEND_SECONDS),
        }
        command = [sys.executable, "-m", "tests.faults.worker", str(job.pk)]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def rest(self, job):
        """Let the scans find and finish the job, as beat does; no message is ever delivered.

        What a worker that died holds and what waits for a moment is moved on, so that hours pass in
        seconds; a quarantine is waited out in real time.
        """
        from jobs.choices import FINAL_STATES
        from jobs.journal import kek_sweep

        for _round in range(ROUNDS):
            job.refresh_from_db()
            if job.state in FINAL_STATES:
                break
            self.go_on(job)
        job.refresh_from_db()
        self.group.refresh_from_db()
        time.sleep(max(0.0, self.landing_until - time.monotonic()))
        self._settle_doubt()
        # As beat lets it happen each hour: a call without an answer is left to the next one.
        for _hour in range(3):
            if not kek_sweep.sweep():
                break

    def go_on(self, job):
        """Let one scan find the job, whatever it waits for."""
        from jobs.choices import FINAL_STATES
        from jobs.journal.intents import quarantine_left
        from jobs.models import Intent, Job
        from jobs.schedule import scans
        from kmes.core.clock import now

        open_calls = Intent.objects.filter(state__in=["pending", "unknown"]).order_by("-sent_at").first()
        if open_calls is not None:
            time.sleep(max(0.0, quarantine_left(open_calls) + 0.1))
        past = now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk, state="queued").update(run_after=past)
        Job.objects.filter(pk=job.pk, state="running").update(lease_until=past)
        for job_id in scans.find_claimable():
            self.work(Job.objects.get(pk=job_id))
        if not Job.objects.filter(pk=job.pk, state__in=FINAL_STATES).exists():
            # What it waits for takes its time, also where it is no call of ours.
            time.sleep(PAUSE_SECONDS)

    def _settle_doubt(self):
        """Let what an ended job left in doubt be settled, as beat does once it can't take effect any more."""
        from jobs.choices import FINAL_STATES
        from jobs.journal.intents import UNRESOLVED_STATES, quarantine_left
        from jobs.models import Intent, Job
        from jobs.schedule import scans

        for _round in range(5):
            left = list(Intent.objects.filter(state__in=UNRESOLVED_STATES, job__state__in=FINAL_STATES))
            if not left:
                return
            time.sleep(max(0.0, *(quarantine_left(intent) + SEND_SECONDS for intent in left)))
            for job_id in scans.scan_leftovers():
                self.work(Job.objects.get(pk=job_id))

    def picture(self):
        """What an observer sees: the vault's versions and KEKs, and the rows that say what was done."""
        from jobs.models import EphemeralKek, Intent, Job
        from keygroups.models import CloudVersion
        from logging_reports.models import LogEntry

        return (
            sorted(self.vault.versions(NAME)),
            self.vault.keks(),
            sorted(Job.objects.values_list("code", "state", "fence", "finished_at")),
            sorted(Intent.objects.values_list("id", "state", "sent_at")),
            sorted(EphemeralKek.objects.values_list("name", "state")),
            sorted(CloudVersion.objects.values_list("id", "state", "azure_version")),
            LogEntry.objects.count(),
        )

    def retry(self, job):
        """Ask for a failed job again, as a user does, and let it come to rest."""
        from jobs.services import request_retry
        from keygroups import azure_names

        if azure_names.is_known_to_be_taken(self.group):
            # Somebody else was there first, which a person decides about.
            seen = [row.azure_version for row in azure_names.list_strangers(self.group)]
            azure_names.adopt_name(group=self.group, versions=seen, actor=self.actor)
        again = request_retry(job=job, actor=self.actor)
        self.rest(again)
        return again

    # --- disturbing --------------------------------------------------------------------------
    def fault(self, **fault):
        """Order a fault of the stand-in."""
        self.stand_in.control("POST", "/_emulator/faults", fault)

    def has_been_struck(self):
        """Return whether a fault of the stand-in was met."""
        return any(fault["hits"] for fault in self.stand_in.control("GET", "/_emulator/faults"))

    def calm(self):
        """End all faults of the stand-in."""
        self.stand_in.control("DELETE", "/_emulator/faults")

    def set_clock(self, hours):
        """Set this machine's clock; its uptime goes on."""
        from django.utils import timezone

        real = timezone.now
        self.patch.setattr(timezone, "now", lambda: real() + timedelta(hours=hours))

    def set_clock_of_vault(self, hours):
        """Let the vault's clock be ahead of this machine's, or behind with a negative number."""
        self.stand_in.control("POST", "/_emulator/settings", {"clock_skew_seconds": hours * 3600})

    def push_of_somebody_else(self):
        """Make a version that is not ours under the group's name."""
        return self.vault.client.create_ec_key(NAME, hardware_protected=True).properties.version

    def soft_delete_of_somebody_else(self):
        """Make and delete a key under the group's name, so that the name is taken by a deleted key."""
        self.vault.client.create_ec_key(NAME, hardware_protected=True)
        self.vault.client.begin_delete_key(NAME).wait()


SIGKILL = -signal.SIGKILL
