"""How far a job is, in words: its steps, and how long it takes. Reads nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.choices import FINAL_STATES, UNBEGUN_STATES, JobState
from jobs.models import Job, JobStep
from jobs.spec import registry, step_label
from kmes.core.clock import now


def label_of(step: JobStep) -> str:
    """Return what a step of a job is called: with the key group where it is done once per group."""
    label = step_label(step.name)
    return f"{label} · {step.subject}" if step.subject else label


def describe_progress(job: Job, *, begun: int, done: int) -> str:
    """Return "3 of 7 steps"; a finished job counts the steps it had, a queued one has none."""
    total = begun if job.state in FINAL_STATES else max(begun, _steps_of(job, begun))
    if job.state in UNBEGUN_STATES and not begun:
        return ""
    if not total:
        return ""
    return ngettext("%(done)d of %(total)d step", "%(done)d of %(total)d steps", total) % {"done": done, "total": total}


def _steps_of(job: Job, begun: int) -> int:
    spec = registry.find(job.kind)
    steps = spec.step_count if spec else begun
    groups = int(job.params.get("groups", 1))
    if groups == 1:
        return steps
    # A push to several key groups goes through all but the last step once per group; other work through all of them.
    return (steps - 1) * groups + 1 if spec is not None and spec.pushes_keys else steps * groups


def describe_keys(job: Job, *, begun: int, done: int) -> str:
    """Return "21 of 22 keys" for a job on several keys, else ""; a job that makes keys knows their names beforehand."""
    total = max(begun, len(job.params.get("names", ())))
    if total < 2 or (job.state in UNBEGUN_STATES and not done):
        return ""
    return ngettext("%(done)d of %(total)d key", "%(done)d of %(total)d keys", total) % {"done": done, "total": total}


def describe_groups(job: Job, *, done: int) -> str:
    """Return "21 of 22 key groups" for a job on many key groups, else ""."""
    total = len(job.params.get("group_ids", ()))
    if not total:
        return ""
    text = ngettext("%(done)d of %(total)d key group", "%(done)d of %(total)d key groups", total)
    return text % {"done": done, "total": total}


def describe_steps_and_keys(job: Job, *, steps: tuple[int, int], keys: tuple[int, int]) -> str:
    """Return "21 of 22 keys, 4 of 7 steps"; each pair is how many are begun and done. One step says nothing beside keys.

    Keys come first: a list cuts the end where there is no room.
    """
    step_text, key_text = (
        describe_progress(job, begun=steps[0], done=steps[1]),
        describe_keys(job, begun=keys[0], done=keys[1]),
    )
    has_one_step = max(steps[0], _steps_of(job, steps[0])) <= 1
    return ", ".join(text for text in (key_text, "" if key_text and has_one_step else step_text) if text)


def describe_running(job: Any) -> str:
    """Return "Import key, 4 of 7 steps" for a job from a list (``selectors.list_jobs``); "" when there is nothing to say."""
    if groups := describe_groups(job, done=job.parts_done):
        return groups
    steps, keys = (job.steps_begun, job.steps_done), (job.keys_begun, job.keys_done)
    text = describe_steps_and_keys(job, steps=steps, keys=keys)
    return f"{step_label(job.step_now)}, {text}" if job.step_now and job.state == JobState.RUNNING else text


def describe_step_duration(started_at: datetime, finished_at: datetime | None) -> str:
    """Return how long a step took: "35 ms", else as a job's; "" for one that is not over."""
    if finished_at is None:
        return ""
    milliseconds = round((finished_at - started_at).total_seconds() * 1000)
    if milliseconds < 1000:
        return _("%(milliseconds)d ms") % {"milliseconds": max(0, milliseconds)}
    return describe_duration(started_at, finished_at)


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
