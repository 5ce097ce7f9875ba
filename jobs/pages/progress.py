"""How far a job is: the names of its steps, how many it has, and progress in words. Reads nothing."""

from __future__ import annotations

from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs.choices import FINAL_STATES, JobKind, JobState
from jobs.models import Job, JobStep
from kmes.core.clock import now

STEP_LABELS: dict[str, str | Promise] = {
    "preflight": gettext_lazy("Look at the vault"),
    "generate_key": gettext_lazy("Generate key in the HSM"),
    "create_kek": gettext_lazy("Create ephemeral KEK"),
    "wrap_key": gettext_lazy("Wrap key in the HSM"),
    "import_key": gettext_lazy("Import key"),
    "verify_import": gettext_lazy("Verify import"),
    "record_version": gettext_lazy("Record version"),
    "discard_kek": gettext_lazy("Discard ephemeral KEK"),
    "enable_version": gettext_lazy("Enable version"),
    "disable_version": gettext_lazy("Disable version"),
    "delete_key": gettext_lazy("Delete Azure key"),
    "recover_key": gettext_lazy("Recover Azure key"),
    "purge_key": gettext_lazy("Purge Azure key"),
    "record": gettext_lazy("Record the outcome"),
    "destroy_key": gettext_lazy("Destroy key material"),
    "compare": gettext_lazy("Compare with the vault"),
    "set_back": gettext_lazy("Set the versions back"),
    "probe": gettext_lazy("Try each permission"),
    "list_vaults": gettext_lazy("List Key Vaults"),
    "self_test": gettext_lazy("Run the self-test"),
    "sign_challenge": gettext_lazy("Let the vault sign a challenge"),
    "verify_signature": gettext_lazy("Verify the signature here"),
    "look": gettext_lazy("Look at what is left in the vault"),
    "sign_report": gettext_lazy("Sign the report in the device"),
}

_PUSH_STEPS = 7
# How many steps a job of each kind goes through when nothing can be left out.
STEPS_OF_KIND: dict[str, int] = {
    JobKind.CREATE: 1,
    JobKind.SYNCHRONIZE: _PUSH_STEPS,
    JobKind.ROTATE: _PUSH_STEPS + 1,
    JobKind.SET_ENABLED: 1,
    JobKind.CLOUD_DELETE: 3,
    JobKind.CLOUD_RECOVER: 3,
    JobKind.CLOUD_PURGE: 3,
    JobKind.DESTROY: 1,
    JobKind.CHECK_DRIFT: 1,
    JobKind.REPAIR: 1,
    JobKind.TEST_CONNECTION: 1,
    JobKind.LIST_VAULTS: 1,
    JobKind.SELF_TEST: 1,
    JobKind.PROVE: 2,
    JobKind.SIGN_REPORT: 2,
}


def label_of_step(name: str) -> str:
    """Return what a step is called on the page; a name without label is shown as words."""
    return str(STEP_LABELS.get(name) or name.replace("_", " ").capitalize())


def label_of(step: JobStep) -> str:
    """Return what a step of a job is called: with the key group where it is done once per group."""
    label = label_of_step(step.name)
    return f"{label} · {step.subject}" if step.subject else label


def describe_progress(job: Job, *, begun: int, done: int) -> str:
    """Return "3 of 7 steps"; a finished job counts the steps it had, a queued one has none."""
    total = begun if job.state in FINAL_STATES else max(begun, _steps_of(job, begun))
    if job.state == JobState.QUEUED and not begun:
        return ""
    if not total:
        return ""
    return ngettext("%(done)d of %(total)d step", "%(done)d of %(total)d steps", total) % {"done": done, "total": total}


def _steps_of(job: Job, begun: int) -> int:
    steps = STEPS_OF_KIND.get(job.kind, begun)
    # A push to several key groups goes through all but the last step once per group.
    groups = job.params.get("groups", 1)
    return (steps - 1) * groups + 1 if groups > 1 else steps


def describe_duration(started_at: datetime | None, finished_at: datetime | None) -> str:
    """Return how long a job took, or has taken so far: "0.4 s", "12 s", "3 min 5 s", "2 h 4 min"."""
    if started_at is None:
        return ""
    seconds = max(0.0, ((finished_at or now()) - started_at).total_seconds())
    if seconds < 10 and finished_at is not None:
        return _("%(seconds).1f s") % {"seconds": seconds}
    whole = round(seconds)
    if whole < 60:
        return _("%(seconds)d s") % {"seconds": whole}
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    hours, minutes = divmod(minutes, 60)
    return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
