"""Reads of self-certifications for their pages. Writes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from hsm.models import HsmDevice
from jobs.certifications.checklist import BY_NAME
from jobs.certifications.models import Certification, CertificationStep
from jobs.certifications.report import seconds_of
from jobs.certifications.steps import APPROVED_ACTIONS, STEP_KEY
from jobs.choices import STATE_COLOURS, CertificationState, CheckState
from jobs.engine.approval_policies import describe_all, requirements_of
from jobs.engine.approval_requests import awaited_approvals
from jobs.models import Job
from kmes.accounts.scopes import ScopeKind
from kmes.core.errors import KmesError
from kmes.core.public_keys import fingerprint


@dataclass(frozen=True)
class StepLine:
    """One line of the checklist as the page shows it.

    ``evidence`` is (name, text), flat; ``approvals`` says whose approvals the step's job waits for, in sentences.
    """

    step: CertificationStep
    title: str
    proves: str
    colour: str
    seconds: float | None
    evidence: list[tuple[str, str]]
    approvals: list[str]


@dataclass(frozen=True)
class CertificationView:
    """All a run's page shows; ``digest`` changes when any of it does."""

    certification: Certification
    lines: list[StepLine]
    digest: str

    @property
    def is_final(self) -> bool:
        """Return whether the run is over."""
        return self.certification.state != CertificationState.RUNNING

    @property
    def done(self) -> int:
        """Return how many steps are over."""
        return sum(line.step.state not in (CheckState.PENDING, CheckState.RUNNING) for line in self.lines)

    @property
    def running(self) -> StepLine | None:
        """Return the step under way."""
        return next((line for line in self.lines if line.step.state == CheckState.RUNNING), None)

    @property
    def signer(self) -> str:
        """Return the fingerprint of the key that signed the report, "" before that."""
        spki = bytes(self.certification.signer_spki)
        return fingerprint(spki) if spki else ""

    @property
    def registered_device(self) -> HsmDevice | None:
        """Return the device that is registered with the signer's key; None for a stranger's."""
        return HsmDevice.objects.filter(report_spki=bytes(self.certification.signer_spki)).first()


def list_certifications(search: str = "") -> QuerySet[Certification]:
    """Return the runs, newest first, without their reports; ``search`` is part of a number, vault or name."""
    found = Certification.objects.defer("report", "signature", "signer_spki")
    if search:
        code = search.upper().removeprefix("CERT-")
        wanted = Q(vault_name__icontains=search) | Q(actor_name__icontains=search) | Q(code__contains=code)
        found = found.filter(wanted)
    return found


def find_certification(code: str) -> Certification | None:
    """Return the run of this code, in any case, with or without ``cert-``."""
    rows = Certification.objects.select_related("group", "vault")
    return rows.filter(code=code.upper().removeprefix("CERT-")).first()


def view_certification(certification: Certification) -> CertificationView:
    """Return all the page shows of a run."""
    lines = [_line(step) for step in certification.steps.select_related("job")]
    seen = f"{certification.state}|{bool(certification.report)}|" + "|".join(
        f"{line.step.state}{line.step.job_id}{line.step.job.waiting_for if line.step.job else ''}{bool(line.approvals)}"
        for line in lines
    )
    return CertificationView(certification, lines, hashlib.blake2s(seen.encode(), digest_size=8).hexdigest())


def _line(step: CertificationStep) -> StepLine:
    known = BY_NAME[step.name]
    colour = STATE_COLOURS.get(step.state, "neutral")
    approvals = awaited_approvals(step.job) if step.job is not None else []
    return StepLine(
        step, str(known.title), str(known.proves), colour, seconds_of(step), _flat(step.evidence), approvals
    )


def possible_approvals() -> list[str]:
    """Return in sentences whose approvals steps of a run can wait for: policies for everywhere and for vaults."""
    try:
        needed = requirements_of(APPROVED_ACTIONS)
    except KmesError as error:
        return [str(error)]
    return describe_all([each for each in needed if each.scope_kind in {"", ScopeKind.VAULT}])


def find_run_of(job: Job) -> Certification | None:
    """Return the self-certification of which a job does a step. No query for the jobs that do none."""
    if not (job.idempotency_key or "").startswith(STEP_KEY):
        return None
    found = Certification.objects.only("pk", "code").filter(steps__job=job)
    return found.first()


def _flat(evidence: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested evidence as plain lines: names of what holds a value, and the value."""
    if isinstance(evidence, dict):
        return [
            pair
            for name, value in evidence.items()
            for pair in _flat(value, name if not prefix else f"{prefix} {name}")
        ]
    if isinstance(evidence, list) and all(isinstance(each, dict) for each in evidence):
        single = prefix.rstrip("s")
        return [pair for number, each in enumerate(evidence, 1) for pair in _flat(each, f"{single} {number}")]
    text = ", ".join(str(each) for each in evidence) if isinstance(evidence, list) else str(evidence)
    return [(prefix.replace("_", " "), text)] if evidence not in (None, "", []) else []
