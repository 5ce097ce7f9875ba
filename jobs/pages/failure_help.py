"""What the pages say about how a job ends: why it failed, what helps, what a cancel leaves, what a retry does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CODE_PREFIX, CREDENTIAL_CODES, CloudErrorKind
from jobs.choices import FAILED_STATES, UNBEGUN_STATES, JobState, StepState, TargetState
from jobs.confirmation.plan import demotion_warnings
from jobs.kinds.self_test import spec as self_test
from jobs.models import Job, JobStep, JobTarget
from jobs.outcome import describe_outcome
from jobs.pages.progress import label_of
from jobs.pages.selectors import JobView
from jobs.planning.selections import by_group
from jobs.spec import registry
from keygroups import azure_names
from keygroups.models import KeyGroup

# Failures that the credential's page helps with.
_CREDENTIAL_CODES = CREDENTIAL_CODES | {"probe_failed"}
# Failures that the device's page helps with.
_DEVICE_CODES = frozenset(
    {
        "device",
        "device_failed",
        "device_missing",
        "device_replaced",
        "major_keys",
        "not_conformant",
        "not_designated",
        "pin_file",
        "pin_wrong",
    }
)
# Failures that end when the key group has another vault, which is chosen where the group is edited. Jobs refuse a known
# Standard vault by the code without the prefix.
_VAULT_CODES = frozenset({CloudErrorKind.NO_HSM_KEYS.value, f"{CODE_PREFIX}{CloudErrorKind.NO_HSM_KEYS}"})
Row = TypeVar("Row", JobStep, JobTarget)
_CREDENTIAL_STATUSES = frozenset({401, 403})
# Refusals with such a status that no right cures, so that the credential's page and its guide to grants don't help.
_NOT_ABOUT_RIGHTS = frozenset(
    f"{CODE_PREFIX}{kind}"
    for kind in (
        CloudErrorKind.REFUSED_OTHERWISE,
        CloudErrorKind.OPERATION_FORBIDDEN,
        CloudErrorKind.KEY_DISABLED,
        CloudErrorKind.PURGE_PROTECTED,
        CloudErrorKind.CLOCK_DIFFERS,
    )
)


@dataclass(frozen=True)
class Failure:
    """The three parts of a failed job's box, and the page that helps."""

    what: str
    why: list[str]
    remedy: str
    help_label: str = ""
    help_url: str = ""
    request_id: str = ""
    # All of it as plain text, to be sent to whoever helps.
    details: str = ""
    # The page that helps is that of the key group, where nothing is set right, but all that concerns it shows.
    is_about_group: bool = False


def explain_failure(view: JobView) -> Failure | None:
    """Return what happened, why and what to do; None for a job that did not fail."""
    job = view.job
    if job.state not in FAILED_STATES:
        return None
    outcome = describe_outcome((target.state for target in view.targets), registry.find(job.kind))
    # Where keys failed one by one, the outcome is what happened.
    why = [f"{outcome}."] if outcome and not job.error_what.startswith(outcome) else []
    if view.matrix is not None:
        why += [
            f"{reason} ({len(names)}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
            for reason, names in view.matrix.reasons
        ]
    elif view.failed_step is not None:
        why.append(_("It stopped at the step “%(step)s”.") % {"step": label_of(view.failed_step)})
    status = view.why.http_status if view.why else None
    if view.why is not None:
        answered = _("Azure answered %(status)s") % {"status": status} if status else ""
        # Where Azure's own words are those above, once is enough.
        is_told = bool(job.error_what) and job.error_what in view.why.message
        parts = (answered, "" if is_told else view.why.message)
        if any(parts):
            why.append(": ".join(filter(None, parts)) + ("." if is_told else ""))
    if job.error_code and job.error_code != "error":
        why.append(_("Error code: %(code)s.") % {"code": job.error_code})
    label, url = _find_help(job, status)
    request_id = view.why.provider_request_id if view.why else ""
    details = _details(job, why, request_id)
    is_about_group = job.group is not None and url == job.group.get_absolute_url()
    return Failure(job.error_what, why, job.error_remedy, label, url, request_id, details, is_about_group)


def _details(job: Job, why: list[str], request_id: str) -> str:
    lines = [
        f"{job}: {job.title}",
        _("Subject: %(subject)s") % {"subject": job.subject},
        _("Requested: %(at)s by %(name)s") % {"at": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC", "name": job.actor_name},
        _("What happened: %(what)s") % {"what": job.error_what},
        *why,
        _("What to do: %(remedy)s") % {"remedy": job.error_remedy or "–"},
    ]
    if request_id:
        lines.append(_("Azure request id: %(id)s") % {"id": request_id})
    return "\n".join(lines)


def describe_left_behind(view: JobView) -> list[tuple[str, str]]:
    """Return what a job that succeeded with a warning left, each with the step that did; [] for any other."""
    if view.job.state != JobState.WARNED:
        return []
    left = [(label_of(step), step.detail) for step in view.warned_steps]
    if view.job.error_what:
        left.append((_("What was to follow"), f"{view.job.error_what} {view.job.error_remedy}".strip()))
    return left


def find_taken_groups(job: Job) -> list[KeyGroup]:
    """Return the groups of a failed push whose Azure key is somebody else's, as the vault was last seen."""
    spec = registry.find(job.kind)
    if job.state not in FAILED_STATES or spec is None or not spec.pushes_keys:
        return []
    undone = job.targets.exclude(state=TargetState.DONE).values("key__group")
    groups = KeyGroup.objects.filter(pk__in=undone, differences__gt=0)
    return [group for group in groups if azure_names.is_known_to_be_taken(group)]


def retry_warnings(job: Job) -> list[str]:
    """Say what a retry of a push demotes: a key that is newer than those that are left."""
    spec = registry.find(job.kind)
    if spec is None or not spec.pushes_keys:
        return []
    undone = job.targets.exclude(state=TargetState.DONE).select_related("key__group")
    parted = by_group([target.key for target in undone])
    return [text for group, keys in parted for text in demotion_warnings(group, keys)]


def tell_once(rows: Iterable[Row], told: set[str]) -> list[tuple[Row, str]]:
    """Return each row with its detail; a reason that was told above it is not repeated. ``told`` grows."""
    shown = []
    for row in rows:
        is_reason = row.state in (StepState.FAILED, TargetState.FAILED, TargetState.NOT_TRIED)
        is_repeated = is_reason and row.detail in told
        if is_reason and row.detail:
            told.add(row.detail)
        shown.append((row, _("The reason is given above.") if is_repeated else row.detail))
    return shown


def _find_help(job: Job, status: int | None) -> tuple[str, str]:
    if job.error_code in _DEVICE_CODES or job.kind == self_test.KIND:
        return _("Open device"), reverse("hsm:device")
    if job.group is not None and job.error_code in _VAULT_CODES:
        return _("Choose another vault"), reverse("keygroups:group_edit", args=[job.group.pk])
    is_refused = status in _CREDENTIAL_STATUSES and job.error_code not in _NOT_ABOUT_RIGHTS
    about_access = job.error_code in _CREDENTIAL_CODES or is_refused
    if job.credential_id and about_access:
        return _("Open credential"), reverse("cloudcreds:detail", args=[job.credential_id])
    if job.group is not None:
        return _("Open key group"), job.group.get_absolute_url()
    return "", ""


def describe_cancel(job: Job) -> list[str]:
    """Say what cancelling the job does now, and what it leaves behind."""
    if job.state in UNBEGUN_STATES and job.started_at is None:
        return [_("The job has not begun. It is canceled at once and leaves nothing behind.")]
    stop = _("The job stops at the next safe point, between two steps.")
    spec = registry.find(job.kind)
    return [stop, spec.left_by_cancel()] if spec else [stop]
