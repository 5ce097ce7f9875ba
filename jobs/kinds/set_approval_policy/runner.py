"""Record the new state of an approval policy, signed by the worker, with a log row that has old and new."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from jobs.engine.approval_policies import CHANGED, add_policy, find_policy
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.set_approval_policy.spec import describe_values, key_in


def run_set_approval_policy(run: JobRun) -> None:
    """Add the policy's next state, once.

    Raises:
        ConflictError: the policy was changed meanwhile.

    """
    asked = run.job.params
    key, after = key_in(asked), asked["after"]
    scope: dict[str, Any] = {"scope_kind": key.scope_kind, "scope_value": key.scope_value} if key.scope_kind else {}
    with step(run, "set_policy"):
        current = find_policy(*key)
        if current is not None and current.number == asked["number"] and _is_own(run, current.changed_by):
            # A run before this one ended between this step and the end of the job.
            return
        with run.write() as tx:
            add_policy(action=key.action, number=asked["number"], by=run.actor.name, **scope, **after)
            before, now = describe_values(asked["before"]), describe_values(after)
            tx.add_message(_("Approval policy of %(action)s: %(now)s") % {"action": run.job.subject, "now": now})
            tx.log(
                CHANGED,
                f"Approval policy of “{run.job.subject}” changed from: {before}, to: {now}",
                data={
                    "action": key.action,
                    **scope,
                    "number": asked["number"],
                    "before": asked["before"],
                    "after": after,
                },
            )


def _is_own(run: JobRun, changed_by: str) -> bool:
    return changed_by == run.actor.name and run.job.messages.exists()


RUNNER = Runner(
    run=run_set_approval_policy,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
