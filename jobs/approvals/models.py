"""Rows of approvals: policies, requests and decisions. Each is signed, added once and never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import RoleAssignment
from kmes.accounts.roles.selectors import role_name
from kmes.core.columns import max_length

MAX_REASON = 500


class Verdict(models.TextChoices):
    """What somebody decided."""

    APPROVE = "approve", _("Approved")
    REFUSE = "refuse", _("Refused")
    # Of the requester, who goes on alone in an emergency.
    BREAK_GLASS = "break_glass", _("Break glass")


class ApprovalPolicy(models.Model):
    """One state of an action's policy, everywhere or for a scope: how many users of a role have to approve it.

    Of the rows of one action and scope the highest number counts.
    """

    # A kind of job (``jobs.spec.Approval``).
    action = models.CharField(max_length=24)
    # As those of a role for a scope; both "" for the policy that holds everywhere.
    scope_kind = models.CharField(max_length=16, default="", blank=True)
    scope_value = models.CharField(max_length=max_length(RoleAssignment, "scope_value"), default="", blank=True)
    number = models.PositiveIntegerField()
    # 0: whoever may request the action needs nobody else.
    approvals = models.PositiveSmallIntegerField()
    # A built-in role, or the code of one that users made: membership counts, whatever rights the role has.
    role = models.CharField(max_length=16)
    expires_hours = models.PositiveSmallIntegerField()
    # Only approvals that a passkey of their user signed count.
    needs_passkey = models.BooleanField(default=False)
    # Requesters with the right to break glass may go on alone in an emergency.
    allows_break_glass = models.BooleanField(default=False)
    # From how many keys or versions on approvals are needed.
    least = models.PositiveIntegerField(default=1)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    # The worker's, over all of the above.
    signature = models.BinaryField()

    class Meta:
        app_label = "jobs"
        ordering = ["action", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["action", "scope_kind", "scope_value", "number"], name="approval_policy_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.number}"

    def get_role_display(self) -> str:
        """Return the name of the role."""
        return role_name(self.role)


class ApprovalRequest(models.Model):
    """What approvers decide on: the frozen plan of a job, why it was requested, and whose approvals it needs."""

    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, related_name="approval_request")
    plan = models.JSONField()
    # Over the job's request, the plan and all of the below (SHA-256, hex): what a decision signs.
    digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=MAX_REASON)
    requirements = models.JSONField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # The process that requested the job.
    signer = models.CharField(max_length=16)
    signature = models.BinaryField()

    class Meta:
        app_label = "jobs"
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"Approval of {self.job}"

    def get_absolute_url(self) -> str:
        """Return the request's page."""
        return reverse("approvals:detail", args=[self.job.code])


class ApprovalDecision(models.Model):
    """What one user decided on a request."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="decisions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    user_name = models.CharField(max_length=150)
    verdict = models.CharField(max_length=16, choices=Verdict)
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    decided_at = models.DateTimeField()
    # What a passkey of the user signed (``kmes.core.passkey_proofs``); empty for a user without one.
    proof = models.JSONField(default=dict)
    # The web process's.
    signature = models.BinaryField()

    class Meta:
        app_label = "jobs"
        ordering = ["decided_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["request", "user"], name="decision_once_per_user")]

    def __str__(self) -> str:
        return f"{self.user_name}: {self.get_verdict_display()}"


class BreakGlassReview(models.Model):
    """What another user found when they reviewed a job that was done without approvals in an emergency."""

    decision = models.OneToOneField(ApprovalDecision, on_delete=models.CASCADE, related_name="review")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    user_name = models.CharField(max_length=150)
    comment = models.CharField(max_length=MAX_REASON)
    reviewed_at = models.DateTimeField()
    # The web process's.
    signature = models.BinaryField()

    class Meta:
        app_label = "jobs"
        ordering = ["reviewed_at"]

    def __str__(self) -> str:
        return f"Review by {self.user_name}"
