"""What jobs can be started from the menus of groups, keys and versions, and what a job's own menu offers.

Labels and order are those of KMES.md, "Context menus". Whether an entry applies is said by ``obstacles``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.choices import JobKind, JobState
from jobs.models import Job
from jobs.pages.confirmations import STARTERS
from jobs.planning import blockers
from keygroups.models import CloudVersion, Key
from kmes.accounts.rights import Right
from kmes.ui.actions import MenuAction, Target, register

CLOUD = _("Cloud")
CREATE = _("Create")


def start_url(kind: str, **query: object) -> str:
    """Return where a job is confirmed and started."""
    return f"{reverse('jobs:start', args=[kind])}?{urlencode(query, doseq=True)}"


def register_all() -> None:
    """Register the menus."""
    register(*_of_groups(), *_of_keys(), *_of_selections(), *_of_versions(), *_of_jobs())


def _start(
    kind: JobKind,
    target: Target,
    label: str | Promise,
    right: Right,
    order: int,
    *,
    url: Callable[[Any], str],
    reason: Callable[[Any], str] | None = None,
    submenu: str | Promise = CLOUD,
    danger: bool = False,
    name: str = "",
) -> MenuAction:
    return MenuAction(
        name=name or kind.value,
        target=target,
        submenu=submenu,
        label=label,
        url=url,
        right=right,
        method="dialog",
        danger=danger,
        disabled_reason=reason or (lambda _obj: ""),
        order=order,
    )


def _of_groups() -> list[MenuAction]:
    def on_group(
        kind: JobKind,
        label: str | Promise,
        right: Right,
        order: int,
        reason: Callable[[Any], str],
        *,
        danger: bool = False,
    ) -> MenuAction:
        return _start(
            kind, "group", label, right, order, url=lambda g: start_url(kind, group=g.pk), reason=reason, danger=danger
        )

    return [
        _start(
            JobKind.CREATE,
            "group",
            _("Random"),
            Right.KEY_CREATE,
            10,
            url=lambda group: start_url(JobKind.CREATE, group=group.pk),
            submenu=CREATE,
        ),
        on_group(JobKind.SYNCHRONIZE, _("Synchronize All"), Right.KEY_PUSH, 30, blockers.to_synchronize_all),
        on_group(JobKind.ROTATE, _("Force Rotation"), Right.KEY_ROTATE, 31, blockers.to_rotate),
        _start(
            JobKind.CLOUD_DELETE,
            "group",
            _("Delete"),
            Right.CLOUD_DELETE,
            32,
            url=lambda group: f"{reverse('jobs:remove')}?{urlencode({'group': group.pk, 'scope': 'cloud'})}",
            reason=blockers.to_delete,
            danger=True,
        ),
        on_group(JobKind.CLOUD_RECOVER, _("Recover"), Right.CLOUD_DELETE, 33, blockers.to_recover),
        on_group(JobKind.CLOUD_PURGE, _("Purge"), Right.CLOUD_PURGE, 34, blockers.to_purge, danger=True),
        on_group(JobKind.CHECK_DRIFT, _("Check Drift"), Right.KEY_PUSH, 35, blockers.to_check_drift),
    ]


def _switch_url(key: Key, *, enabled: bool) -> str:
    version = blockers.situation_of_key(key).version
    return start_url(JobKind.SET_ENABLED, version=version.pk if version else "", enabled=int(enabled))


def _of_keys() -> list[MenuAction]:
    return [
        _start(
            JobKind.SYNCHRONIZE,
            "key",
            _("Synchronize"),
            Right.KEY_PUSH,
            10,
            url=lambda key: start_url(JobKind.SYNCHRONIZE, key=key.pk),
            reason=blockers.to_synchronize,
        ),
        _start(
            JobKind.SET_ENABLED,
            "key",
            _("Disable"),
            Right.KEY_DISABLE,
            11,
            url=lambda key: _switch_url(key, enabled=False),
            reason=blockers.to_disable,
            name="disable",
        ),
        _start(
            JobKind.SET_ENABLED,
            "key",
            _("Enable"),
            Right.KEY_DISABLE,
            12,
            url=lambda key: _switch_url(key, enabled=True),
            reason=blockers.to_enable,
            name="enable",
        ),
        _start(
            JobKind.DESTROY,
            "key",
            _("Delete (local)"),
            Right.KEY_DESTROY,
            90,
            url=lambda key: start_url(JobKind.DESTROY, key=key.pk),
            reason=blockers.to_destroy,
            submenu="",
            danger=True,
        ),
    ]


def _of_selections() -> list[MenuAction]:
    """Return what can be done with several keys; before any is picked (None) the labels count nothing."""

    def on_several(
        kind: JobKind, right: Right, order: int, label: Callable[[int | None], str], **more: Any
    ) -> MenuAction:
        return MenuAction(
            name=kind.value,
            target="keys",
            label=lambda selection: label(selection.count if selection else None),
            url=lambda _selection: reverse("jobs:start", args=[kind]),
            right=right,
            method="selection",
            order=order,
            **more,
        )

    return [
        on_several(JobKind.SYNCHRONIZE, Right.KEY_PUSH, 10, _synchronize_label, submenu=CLOUD),
        on_several(JobKind.DESTROY, Right.KEY_DESTROY, 90, _destroy_label, danger=True),
    ]


def _synchronize_label(count: int | None) -> str:
    if count is None:
        return gettext("Synchronize")
    return ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}


def _destroy_label(count: int | None) -> str:
    if count is None:
        return gettext("Delete (local)")
    return ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count}


def _of_versions() -> list[MenuAction]:
    def switch(*, wanted: bool, label: str | Promise, order: int) -> MenuAction:
        def reason(version: CloudVersion) -> str:
            return blockers.to_switch_version(version, wanted=wanted)

        return _start(
            JobKind.SET_ENABLED,
            "version",
            label,
            Right.KEY_DISABLE,
            order,
            url=lambda version: start_url(JobKind.SET_ENABLED, version=version.pk, enabled=int(wanted)),
            reason=reason,
            name="enable" if wanted else "disable",
        )

    return [
        switch(wanted=False, label=_("Disable"), order=10),
        switch(wanted=True, label=_("Enable"), order=11),
    ]


def _retry_label(job: Job) -> str:
    """Say that only what failed is done again, where other keys went well."""
    return gettext("Retry failed only") if job.state == JobState.PARTLY_FAILED else gettext("Retry")


def _retries() -> list[MenuAction]:
    """Return one Retry per right: a retry needs the right of what it does again."""

    def retry_with(right: Right) -> MenuAction:
        kinds = {kind.value for kind, starter in STARTERS.items() if starter.right == right}
        return MenuAction(
            name=f"retry-{right}",
            target="job",
            label=_retry_label,
            url=lambda job: reverse("jobs:retry", args=[job.code]),
            right=right,
            method="dialog",
            disabled_reason=blockers.to_retry,
            shown=lambda job: job.kind in kinds,
            order=20,
        )

    return [retry_with(right) for right in sorted({starter.right for starter in STARTERS.values()})]


def _of_jobs() -> list[MenuAction]:
    return [
        MenuAction(name="open", target="job", label=_("Open"), url=Job.get_absolute_url, order=10),
        *_retries(),
        MenuAction(
            name="cancel",
            target="job",
            label=_("Cancel"),
            url=lambda job: reverse("jobs:cancel", args=[job.code]),
            right=Right.JOB_CANCEL,
            method="dialog",
            disabled_reason=blockers.to_cancel,
            order=30,
        ),
    ]
