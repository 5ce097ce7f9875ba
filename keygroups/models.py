"""Rows of key groups, keys and cloud versions. State fields change only in ``keygroups.lifecycle``."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import CloudCredential, KeyVault
from hsm.signed_saves import MarkedRow
from hsm.types import KeySpec
from keygroups.choices import (
    AZURE_OPERATIONS,
    ENDED_VERSION_STATES,
    SPEC_CHOICES,
    GroupCloudState,
    KeyState,
    KeyUsage,
    PeriodUnit,
    SlotState,
    VersionState,
)
from kmes.accounts.scopes import Place, tag_values, vault_value
from kmes.core.ids import new_uuid
from kmes.core.row_urls import list_url, row_url
from kmes.core.withheld import WithheldBinaryField


def group_url(group_id: UUID | str) -> str:
    """Return a group's place in the Keys view."""
    return f"{list_url('keygroups:keys')}?group={group_id}"


class KeyGroup(MarkedRow):
    """A container of keys, and the template for new ones. One group is one key in Azure."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(_("Name"), max_length=128)
    key_spec = models.CharField(_("Key Length"), max_length=16, choices=SPEC_CHOICES)
    usage = models.JSONField(_("Key Usage"), default=list)
    credential = models.ForeignKey(
        CloudCredential, on_delete=models.PROTECT, related_name="groups", verbose_name=_("Credential")
    )
    vault = models.ForeignKey(KeyVault, on_delete=models.PROTECT, related_name="groups", verbose_name=_("Key Vault"))
    azure_name = models.CharField(_("Azure key name"), max_length=127)
    enabled_on_push = models.BooleanField(_("Enabled on push"), default=True)
    rotate = models.BooleanField(_("Rotate Key"), default=True)
    rotate_every = models.PositiveIntegerField(_("Rotate Every"), default=90)
    rotate_unit = models.CharField(max_length=8, choices=PeriodUnit, default=PeriodUnit.DAYS)
    valid_for = models.PositiveIntegerField(_("Keep key valid for"), null=True, blank=True)
    valid_unit = models.CharField(max_length=8, choices=PeriodUnit, default=PeriodUnit.DAYS)
    # Due moments are anchor + n periods, so that the day of the month does not drift.
    rotation_anchor_at = models.DateTimeField(null=True)
    next_due_at = models.DateTimeField(null=True, db_index=True)
    last_rotated_at = models.DateTimeField(null=True)
    notes = models.TextField(_("Notes"), blank=True)
    owner = models.CharField(_("Owner"), max_length=128, blank=True)
    tags = models.JSONField(_("Tags"), default=dict, blank=True)
    # Ids of the versions that others had made under the Azure key's name when a person adopted the name.
    adopted_versions = models.JSONField(default=list, blank=True)
    cloud_state = models.CharField(max_length=16, choices=GroupCloudState, default=GroupCloudState.ABSENT)
    deleted_in_cloud_at = models.DateTimeField(null=True)
    scheduled_purge_at = models.DateTimeField(null=True)
    # The Azure version that the vault calls current, ours or not, as last seen or pushed; empty while unknown.
    current_version = models.CharField(max_length=64, blank=True, default="")
    # When the vault was last compared with the rows here, and how many differences there were.
    compared_at = models.DateTimeField(null=True)
    differences = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="group_name_unique",
                violation_error_message=_("A key group of this name exists already."),
            ),
            # Azure compares key names without case, and one Azure key belongs to one group.
            models.UniqueConstraint(
                "vault",
                Lower("azure_name"),
                name="group_azure_key_unique",
                violation_error_message=_("Another key group uses this Azure key name in the same vault."),
            ),
            models.CheckConstraint(condition=Q(rotate_every__gte=1), name="group_rotate_every_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the group's place in the Keys view."""
        return group_url(self.pk)

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where somebody acts who acts on the group."""
        return (Place(vault_value(self.vault.url), str(self.pk), tag_values(self.tags)),)

    @property
    def spec(self) -> KeySpec:
        """Return the key type and size new keys get."""
        return KeySpec(self.key_spec)

    @property
    def azure_operations(self) -> list[str]:
        """Return the ``key_ops`` a pushed version is imported with, in Azure's words."""
        return [operation for usage in KeyUsage.values if usage in self.usage for operation in AZURE_OPERATIONS[usage]]

    @property
    def azure_lock(self) -> str:
        """Return the name of the lock on the Azure key, which at most one running job holds."""
        return f"{self.vault.url.rstrip('/')}/{self.azure_name}".lower()


class Key(models.Model):
    """One piece of key material made in the HSM; its private half is wrapped under the PMK."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    group = models.ForeignKey(KeyGroup, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(_("Name"), max_length=160)
    key_spec = models.CharField(_("Type"), max_length=16, choices=SPEC_CHOICES)
    state = models.CharField(max_length=16, choices=KeyState, default=KeyState.PRESENT)
    public_spki = models.BinaryField()
    # Emptied when the key is destroyed.
    wrapped_private = WithheldBinaryField(editable=False, readable_by=("worker",))
    # The device's mark on the columns that ``keygroups.marks`` names; empty for keys made before there were marks.
    mark = WithheldBinaryField(editable=False, default=bytes, readable_by=("worker",))
    # SHA-256 over the DER SubjectPublicKeyInfo, hex; also the value of the vault's kmes-spki tag.
    thumbprint = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150)
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [
            models.UniqueConstraint(
                "group",
                Lower("name"),
                name="key_name_unique_in_group",
                violation_error_message=_("A key of this name exists already in this group."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the key's properties page."""
        return row_url("keygroups:key_detail", self.pk)

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where somebody acts who acts on the key: that is its group."""
        return self.group.places

    @property
    def spec(self) -> KeySpec:
        """Return the key's type and size."""
        return KeySpec(self.key_spec)


class CloudVersion(models.Model):
    """A key as a version of an Azure key: where it was pushed, and how the vault had it when it was last seen.

    The columns ``wanted_*``, ``operations`` and ``tags`` hold what was set or accepted here: a repair sets the
    vault back to them.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    key = models.ForeignKey(Key, on_delete=models.PROTECT, related_name="cloud_versions")
    group = models.ForeignKey(KeyGroup, on_delete=models.PROTECT, related_name="cloud_versions")
    vault = models.ForeignKey(KeyVault, on_delete=models.PROTECT, related_name="+")
    azure_name = models.CharField(max_length=127)
    azure_version = models.CharField(max_length=64, blank=True)
    kid = models.CharField(max_length=512, blank=True)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.PUSHING)
    enabled = models.BooleanField(default=True)
    wanted_enabled = models.BooleanField(default=True)
    # Whether the vault had it otherwise than wanted when it was last seen.
    differs = models.BooleanField(default=False)
    # What it was pushed with. Empty and NULL for versions pushed before these columns existed.
    operations = models.JSONField(default=list)
    tags = models.JSONField(null=True)
    pushed_at = models.DateTimeField(null=True)
    # Its place among the group's versions by their arrival in the vault, from 1; 0 until then. No clock
    # tells which one is newest: Azure's times have whole seconds, and ours may be set back.
    ordinal = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    wanted_expires_at = models.DateTimeField(null=True)
    # The vault refuses to use it before this moment. NULL also for a moment that had passed when it was made.
    not_before = models.DateTimeField(null=True)
    wanted_not_before = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-pushed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["key", "vault"],
                condition=~Q(state__in=[*ENDED_VERSION_STATES]),
                name="one_living_version_per_key_and_vault",
            ),
            models.UniqueConstraint(
                fields=["group"],
                condition=Q(state=VersionState.ACTIVE),
                name="one_active_version_per_group",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.azure_name}/{self.azure_version or '-'}"

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where somebody acts who acts on the version: that is its group."""
        return self.group.places


class Observation(models.Model):
    """A version as the last comparison found it in the vault, and how that differs from what is recorded.

    ``version`` is empty if it was made outside this console. ``flags`` are values of ``Drift``.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    group = models.ForeignKey(KeyGroup, on_delete=models.CASCADE, related_name="observations")
    version = models.ForeignKey(CloudVersion, null=True, on_delete=models.CASCADE, related_name="observations")
    azure_version = models.CharField(max_length=64)
    kid = models.CharField(max_length=512, blank=True)
    seen_at = models.DateTimeField()
    is_present = models.BooleanField(default=True)
    enabled = models.BooleanField(null=True)
    created_on = models.DateTimeField(null=True)
    updated_on = models.DateTimeField(null=True)
    expires_on = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    operations = models.JSONField(default=list)
    tags = models.JSONField(default=dict)
    flags = models.JSONField(default=list)
    # A person accepted a version that was made outside this console, as it was then.
    is_accepted = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_on", "azure_version"]
        constraints = [
            models.UniqueConstraint(fields=["group", "azure_version"], name="one_observation_per_azure_version")
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.azure_version}"

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where somebody acts who decides about the difference: that is its group."""
        return self.group.places


class KeyReading(models.Model):
    """What the vault does to a group's Azure key by itself, and where its versions live, as last read.

    Written by ``keygroups.readings`` only.
    """

    group = models.OneToOneField(KeyGroup, on_delete=models.CASCADE, primary_key=True, related_name="reading")
    read_at = models.DateTimeField()
    # ``provider.types.RotationPolicy`` as a dictionary; NULL: it could not be read, and ``rotation_problem`` says why.
    rotation = models.JSONField(null=True)
    rotation_problem = models.TextField(blank=True)
    # How many versions live on each platform of the cloud's HSMs, by its number; "" where it was not told.
    platforms = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.group}"


class RotationSlot(models.Model):
    """One due moment of a group's rotation and what became of it. Unique, so a second scan makes no second job.

    Written by ``keygroups.rotation_slots`` only.
    """

    group = models.ForeignKey(KeyGroup, on_delete=models.CASCADE, related_name="rotation_slots")
    due_at = models.DateTimeField()
    # The job that rotates the group at this moment. A plain id, because jobs are an app above this one.
    job_id = models.UUIDField(null=True, db_index=True)
    state = models.CharField(max_length=16, choices=SlotState, default=SlotState.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveIntegerField(default=1)
    tried_at = models.DateTimeField(null=True)
    # When the next attempt may begin; NULL while one is under way, and when there will be none.
    next_try_at = models.DateTimeField(null=True)
    # Why the last attempt did not succeed.
    last_error = models.TextField(blank=True)

    class Meta:
        # The table was made by the app ``jobs`` and kept its name.
        db_table = "jobs_rotationslot"
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["group", "due_at"], name="rotation_once_per_due_time")]

    def __str__(self) -> str:
        return f"{self.group} {self.due_at}"
