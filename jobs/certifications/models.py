"""Rows of self-certifications. State changes only in ``jobs.certifications.progress``."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse

from cloudcreds.models import KeyVault
from jobs.choices import CertificationState, CheckState
from keygroups.choices import SPEC_CHOICES
from keygroups.models import KeyGroup
from kmes.core.clock import now
from kmes.core.ids import new_job_code, new_uuid


class Certification(models.Model):
    """One run of the whole cycle; what it says of its jobs is frozen, for the report outlives them."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    code = models.CharField(max_length=12, unique=True, default=new_job_code, editable=False)
    state = models.CharField(max_length=16, choices=CertificationState, default=CertificationState.RUNNING)
    vault = models.ForeignKey(KeyVault, null=True, on_delete=models.SET_NULL, related_name="+")
    vault_name = models.CharField(max_length=64)
    group = models.ForeignKey(KeyGroup, null=True, on_delete=models.SET_NULL, related_name="certifications")
    key_spec = models.CharField(max_length=16, choices=SPEC_CHOICES)
    actor_name = models.CharField(max_length=150)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # A doubled submit gets the first one's run. NULL, because several runs may have none.
    idempotency_key = models.CharField(max_length=128, null=True, unique=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=now, editable=False)
    # The process that asked for the run, and its signature (``jobs.certifications.signatures``).
    request_signer = models.CharField(max_length=16, blank=True)
    request_signature = models.BinaryField(default=bytes)
    finished_at = models.DateTimeField(null=True)
    # What the last look found still in the vault or here, one sentence each; None before that look.
    left_behind = models.JSONField(null=True)
    # The signed bytes, to the letter (UTF-8), their signature (DER), and the signer's public half (DER).
    report = models.TextField(blank=True)
    signature = models.BinaryField(default=bytes)
    signer_spki = models.BinaryField(default=bytes)

    class Meta:
        app_label = "jobs"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["vault"], condition=models.Q(state="running"), name="one_running_certification_per_vault"
            )
        ]

    def __str__(self) -> str:
        return f"cert-{self.code}"

    def get_absolute_url(self) -> str:
        """Return the certification's page."""
        return reverse("certifications:detail", args=[self.code])

    def load_group(self) -> KeyGroup | None:
        """Return the temporary key group as it is now, with its vault and credential."""
        if self.group_id is None:
            return None
        return KeyGroup.objects.select_related("vault__credential", "credential").filter(pk=self.group_id).first()


class CertificationStep(models.Model):
    """One line of the checklist: what is tried, by which job, and what proves it."""

    certification = models.ForeignKey(Certification, on_delete=models.CASCADE, related_name="steps")
    ordinal = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=32)
    state = models.CharField(max_length=16, choices=CheckState, default=CheckState.PENDING)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.TextField(blank=True)
    # Ids, versions, thumbprints and signatures: nothing secret.
    evidence = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "jobs"
        ordering = ["ordinal"]
        constraints = [models.UniqueConstraint(fields=["certification", "name"], name="step_once_per_certification")]

    def __str__(self) -> str:
        return f"{self.certification} {self.name}"
