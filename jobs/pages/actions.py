"""What jobs can be started from the menus of groups, keys and versions, and what a job's own menu offers.

The entries that start a job stand in the specs of the kinds.
"""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import KeyVault
from jobs.choices import JobState
from jobs.kinds.many_groups.operations import OPERATIONS, Operation
from jobs.models import Job
from jobs.pages.filters import TABS
from jobs.planning import blockers
from jobs.spec import JobSpec, MenuEntry, registry
from kmes.accounts.rights import Right
from kmes.ui.actions import MenuAction, Target, register


def register_all() -> None:
    """Register the menus."""
    register(
        *(_action(spec, entry) for spec in registry for entry in spec.menu),
        *(action for operation in OPERATIONS.values() for action in _of_many(operation)),
        *_of_lists(),
        *_of_jobs(),
        *_of_selected_jobs(),
    )


def _action(spec: JobSpec, entry: MenuEntry) -> MenuAction:
    def url(obj: object) -> str:
        path = reverse(entry.page, args=[spec.kind] if entry.page == "jobs:start" else [])
        query = urlencode(entry.query(obj), doseq=True)
        return f"{path}?{query}" if query else path

    return MenuAction(
        name=entry.name,
        target=entry.target,
        submenu=entry.submenu,
        label=entry.label,
        url=url,
        right=spec.right,
        method="selection" if entry.target == "keys" else "dialog",
        danger=entry.danger,
        disabled_reason=entry.why_not,
        order=entry.order,
    )


def _of_many(operation: Operation) -> list[MenuAction]:
    """Return the entries in the menus of several key groups, of several keys for their groups, and of a vault."""

    def entry(target: Target, **more: Any) -> MenuAction:
        given = {
            "name": f"many_{operation.kind}",
            "target": target,
            "label": operation.label,
            "url": lambda _selection: reverse("jobs:start_many", args=[operation.kind]),
            "right": registry[operation.kind].right,
            "method": "selection",
            "danger": operation.danger,
            "order": operation.order,
        }
        return MenuAction(**(given | more))

    def of_vault(vault: KeyVault) -> str:
        query = {"group_selection": "1", "all": "1", "filter": urlencode({"view": "vault", "vault": str(vault.pk)})}
        return f"{reverse('jobs:start_many', args=[operation.kind])}?{urlencode(query)}"

    if operation.danger:
        return [entry("selected_groups")]
    groups = _("Key groups")
    return [
        entry("selected_groups"),
        entry("keys", submenu=groups, order=operation.order + 100),
        entry("vault", submenu=groups, url=of_vault, method="dialog"),
    ]


def _of_lists() -> list[MenuAction]:
    """Return the menu of the background of Jobs: which jobs it shows."""
    return [
        MenuAction(
            name=tab,
            target="jobs",
            submenu=_("Show"),
            label=label,
            url=lambda _jobs, tab=tab: f"{reverse('jobs:list')}?show={tab}",  # type: ignore[misc]
            order=order,
        )
        for order, (tab, label) in enumerate(TABS.items())
    ]


def _retry_label(job: Job) -> str:
    """Say that only what failed is done again, where other keys went well."""
    return gettext("Retry failed only") if job.state == JobState.PARTLY_FAILED else gettext("Retry")


def _retries() -> list[MenuAction]:
    """Return one Retry per right: a retry needs the right of what it does again."""

    def retry_with(right: Right) -> MenuAction:
        return MenuAction(
            name=f"retry-{right}",
            target="job",
            label=_retry_label,
            url=lambda job: reverse("jobs:retry", args=[job.code]),
            right=right,
            method="dialog",
            disabled_reason=blockers.why_not_retry,
            shown=lambda job: _is_retried_with(job, right),
            order=20,
        )

    return [retry_with(right) for right in sorted({spec.right for spec in registry if spec.retry})]


def _is_retried_with(job: Job, right: Right) -> bool:
    spec = registry.find(job.kind)
    return spec is not None and spec.retry is not None and registry.right_for(job) == right


def _of_selected_jobs() -> list[MenuAction]:
    """Return the menu of several jobs. A retry may need a further right, which the confirmation looks at."""
    return [
        MenuAction(
            name="retry",
            target="selected_jobs",
            label=_("Retry"),
            url=lambda _jobs: reverse("jobs:retry_many"),
            right=Right.KEY_PUSH,
            method="selection",
            order=10,
        ),
        MenuAction(
            name="cancel",
            target="selected_jobs",
            label=_("Cancel"),
            url=lambda _jobs: reverse("jobs:cancel_many"),
            right=Right.JOB_CANCEL,
            method="selection",
            order=20,
        ),
    ]


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
            disabled_reason=blockers.why_not_cancel,
            order=30,
        ),
    ]
