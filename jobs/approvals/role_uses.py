"""What approval policies mean for roles and rights: which role can't be deleted, and what using a right needs besides."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalPolicy
from jobs.choices import OPEN_STATES, JobState
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import Requirement, actions, describe_all, key_of, label_with_scope, requirements_of
from jobs.engine.approver_places import find_approvers
from jobs.kinds.set_approval_policy.spec import KIND
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.accounts.scopes import Place
from kmes.core.actor import Actor
from kmes.core.errors import KmesError


def find_uses(code: str) -> list[str]:
    """Return in sentences which policies name the role, in force or about to be."""
    labels = dict(actions())
    # Jobs first: one that ends meanwhile has left its policy.
    open_jobs = Job.objects.filter(kind=KIND, state__in=(JobState.AWAITING, *OPEN_STATES), params__after__role=code)
    about_to_be = {job.params["action"] for job in open_jobs}
    newest = {key_of(policy): policy for policy in ApprovalPolicy.objects.order_by("number")}
    named = about_to_be | {key.action for key, policy in newest.items() if policy.role == code and policy.approvals}
    return [
        _("The approval policy of “%(action)s” names it.") % {"action": labels.get(action, action)}
        for action in sorted(named)
    ]


class Approvers:
    """The users whose role policies ask for: one who goes may leave too few to approve anything under a policy."""

    def describe(self, user: User, kept: User) -> list[str]:
        """Return in sentences for which policies too few approvers are left. Nothing is ended.

        One query for all policies, and one for each that names the role.
        """
        if not user.is_active or kept.role == user.role:
            return []
        newest = {key_of(policy): policy for policy in ApprovalPolicy.objects.order_by("number")}
        naming = [(key, policy) for key, policy in newest.items() if policy.role == user.role and policy.approvals]
        return [
            _("“%(action)s” then has too few approvers: it takes %(count)d besides the requester.")
            % {"action": label_with_scope(key), "count": policy.approvals}
            for key, policy in naming
            if find_approvers(user.role, key).exclude(pk=user.pk).count() < policy.approvals + 1
        ]

    def end(self, user: User, kept: User, actor: Actor) -> None:
        """Do nothing: the policies go on."""


def approvals_needed(action: str) -> list[str]:
    """Return in sentences whose approvals an action needs.

    Raises:
        StrangePolicy: its policy is not as this console wrote it; then the action is refused.

    """
    return describe_all(requirements_of([action]))


def conditions_of(rights: Sequence[Right], subject: object = None) -> dict[Right, list[str]]:
    """Return in sentences whose approvals the actions of each right need: on a key group or in a vault, or wherever it is.

    The policies are read once for all rights. Where one is not as this console wrote it, its right says so, and no other.
    """
    actions_of = {right: [each for each, _label in actions() if registry[each].right == right] for right in rights}
    try:
        needed = requirements_of(each for found in actions_of.values() for each in found)
    except KmesError as error:
        if len(rights) == 1:
            return {rights[0]: [str(error)]}
        return {right: conditions_of([right], subject)[right] for right in rights}
    needed = _on(needed, getattr(subject, "places", ()))
    told = list(zip(needed, describe_all(needed), strict=True))
    return {
        right: [sentence for requirement, sentence in told if requirement.action in found]
        for right, found in actions_of.items()
    }


def _on(needed: list[Requirement], places: Sequence[Place]) -> list[Requirement]:
    """Return the requirements that hold in one of these places; all of them where there is none."""
    if not places:
        return needed
    if groups := [place.group for place in places if place.group]:
        return lying_in(needed, groups, [])
    return [
        each
        for each in needed
        if not each.scope_kind or any(place.is_in(each.scope_kind, each.scope_value) for place in places)
    ]
