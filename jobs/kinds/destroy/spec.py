"""Destroy: erase key material here. The vault is not asked and not changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.confirmation.forms import typed_name_form
from jobs.confirmation.plan import Plan, names_of
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.destroy.plan import plan_keys, plan_selection
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.eligibility import Eligibility, find_destroyable, why_none
from jobs.planning.menus import on_key, on_selection
from jobs.planning.requests import only_group, subject_of_keys, undone_keys
from jobs.spec import Approval, Confirmation, Given, JobSpec, Scope, Step, Wording, always
from keygroups.choices import KeyState
from keygroups.models import Key
from kmes.accounts.rights import Right, check_each
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "destroy"


def request_destroy(
    *,
    keys: Sequence[Key],
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    follows: Job | None = None,
    reason: str = "",
) -> Job:
    """Ask for key material here to be destroyed; what stands in the vault stays.

    Raises:
        ConflictError: there is no key, or one was destroyed already.

    """
    check_each(actor, Right.KEY_DESTROY, keys)
    for key in keys:
        if key.state != KeyState.PRESENT:
            raise ConflictError(gettext("Key “%(key)s” was destroyed already.") % {"key": key.name})
    if not keys:
        raise ConflictError(gettext("There is no key to destroy."))
    new = NewJob(KIND, subject_of_keys(keys), group=only_group(keys), keys=keys, retry_of=retry_of, follows=follows)
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def link_to_destroy(key_ids: Sequence[object]) -> dict[str, Any]:
    """Return the link of a chain that destroys these keys."""
    return {"kind": KIND, "keys": [str(pk) for pk in key_ids]}


def _follow(job: Job, link: dict[str, Any], _then: list[dict[str, Any]], given: Given) -> Job | None:
    keys = keys_of_link(link)
    return request_destroy(keys=keys, follows=job, **given) if keys else None


def keys_of_link(link: dict[str, Any]) -> list[Key]:
    """Return the keys that were chosen when the chain was asked for and are still there."""
    rows = Key.objects.filter(pk__in=link["keys"], state=KeyState.PRESENT)
    return list(rows.select_related("group__vault", "group__credential").order_by("created_at", "name"))


def _keys_to_destroy(target: StartTarget) -> list[Key]:
    return list(target.keys) if target.selection is None else find_destroyable(target.keys).eligible


def _plan(target: StartTarget) -> Plan:
    if target.selection is not None:
        return plan_selection(find_destroyable(target.keys))
    return plan_keys(target.keys)


def _plan_job(job: Job) -> Plan:
    """Return what a destruction that was requested does, with the names of all its keys."""
    targets = job.targets.select_related("key__group__vault").order_by("ordinal", "pk")
    keys = [target.key for target in targets if not target.request_signature]
    plan = plan_keys(keys) if only_group(keys) is not None else plan_selection(Eligibility(keys, []))
    return replace(plan, facts=[(gettext("Keys"), names_of(keys, limit=len(keys))), *plan.facts[1:]])


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_destroy(keys=_keys_to_destroy(target), **given)


def _retry(job: Job, given: Given) -> Job:
    return request_destroy(keys=undone_keys(job), retry_of=job, **given)


def _label(count: int | None) -> str:
    if count is None:
        return gettext("Delete (local)")
    return ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count}


def _left_by_cancel() -> str:
    return gettext("Keys destroyed by then stay destroyed.")


DESTROY = JobSpec(
    kind=KIND,
    title=_("Destroy HSM Protected key(s)"),
    right=Right.KEY_DESTROY,
    wording=Wording("Destroying", "Destroyed", "destroy"),
    counts_keys=True,
    steps=(Step("destroy_key", _("Destroy key material")),),
    scope=Scope.KEYS,
    holds_azure_key=False,
    blocks_group=False,
    pushes_keys=False,
    failpoints=KIND,
    menu=(
        on_key(KIND, _("Delete (local)"), 90, blockers.why_not_destroy, submenu="", danger=True),
        on_selection(KIND, _label, 90, why_not=why_none(find_destroyable), danger=True),
    ),
    confirmation=Confirmation(needs=("keys",), is_complete=is_enough, plan=_plan, form=typed_name_form, start=_start),
    left_by_cancel=_left_by_cancel,
    retry=_retry,
    follow=_follow,
    approval=Approval(
        label=_("Destroy key material here"), actions=always(KIND), expected=always(KIND), plan=_plan_job
    ),
    runner="jobs.kinds.destroy.runner.RUNNER",
)
