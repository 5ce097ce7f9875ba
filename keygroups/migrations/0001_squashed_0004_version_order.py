import django.db.models.deletion
import django.db.models.functions.text
import kmes.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("keygroups", "0001_initial"),
        ("keygroups", "0002_comparison"),
        ("keygroups", "0003_observations"),
        ("keygroups", "0004_version_order"),
    ]

    initial = True

    dependencies = [
        ("cloudcreds", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyGroup",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=128, verbose_name="Name")),
                (
                    "key_spec",
                    models.CharField(
                        choices=[
                            ("RSA-2048", "RSA-2048"),
                            ("RSA-3072", "RSA-3072"),
                            ("RSA-4096", "RSA-4096"),
                            ("P-256", "P-256"),
                            ("P-384", "P-384"),
                            ("P-521", "P-521"),
                            ("P-256K", "P-256K"),
                        ],
                        max_length=16,
                        verbose_name="Key Length",
                    ),
                ),
                ("usage", models.JSONField(default=list, verbose_name="Key Usage")),
                ("azure_name", models.CharField(max_length=127, verbose_name="Azure key name")),
                ("enabled_on_push", models.BooleanField(default=True, verbose_name="Enabled on push")),
                ("rotate", models.BooleanField(default=True, verbose_name="Rotate Key")),
                ("rotate_every", models.PositiveIntegerField(default=90, verbose_name="Rotate Every")),
                (
                    "rotate_unit",
                    models.CharField(
                        choices=[("days", "days"), ("weeks", "weeks"), ("months", "months")],
                        default="days",
                        max_length=8,
                    ),
                ),
                ("valid_for", models.PositiveIntegerField(blank=True, null=True, verbose_name="Keep key valid for")),
                (
                    "valid_unit",
                    models.CharField(
                        choices=[("days", "days"), ("weeks", "weeks"), ("months", "months")],
                        default="days",
                        max_length=8,
                    ),
                ),
                ("rotation_anchor_at", models.DateTimeField(null=True)),
                ("next_due_at", models.DateTimeField(db_index=True, null=True)),
                ("last_rotated_at", models.DateTimeField(null=True)),
                ("notes", models.TextField(blank=True, verbose_name="Notes")),
                ("owner", models.CharField(blank=True, max_length=128, verbose_name="Owner")),
                ("tags", models.JSONField(blank=True, default=dict, verbose_name="Tags")),
                (
                    "cloud_state",
                    models.CharField(
                        choices=[
                            ("absent", "Not in the vault"),
                            ("live", "In the vault"),
                            ("soft_deleted", "Deleted, recoverable"),
                            ("purged", "Purged"),
                        ],
                        default="absent",
                        max_length=16,
                    ),
                ),
                ("deleted_in_cloud_at", models.DateTimeField(null=True)),
                ("scheduled_purge_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("lock_version", models.PositiveIntegerField(default=1)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="groups",
                        to="cloudcreds.cloudcredential",
                        verbose_name="Credential",
                    ),
                ),
                (
                    "vault",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="groups",
                        to="cloudcreds.keyvault",
                        verbose_name="Key Vault",
                    ),
                ),
                ("compared_at", models.DateTimeField(null=True)),
                ("differences", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        name="group_name_unique",
                        violation_error_message="A key group of this name exists already.",
                    ),
                    models.UniqueConstraint(
                        models.F("vault"),
                        django.db.models.functions.text.Lower("azure_name"),
                        name="group_azure_key_unique",
                        violation_error_message="Another key group uses this Azure key name in the same vault.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("rotate_every__gte", 1)), name="group_rotate_every_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Key",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=160, verbose_name="Name")),
                (
                    "key_spec",
                    models.CharField(
                        choices=[
                            ("RSA-2048", "RSA-2048"),
                            ("RSA-3072", "RSA-3072"),
                            ("RSA-4096", "RSA-4096"),
                            ("P-256", "P-256"),
                            ("P-384", "P-384"),
                            ("P-521", "P-521"),
                            ("P-256K", "P-256K"),
                        ],
                        max_length=16,
                        verbose_name="Type",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("present", "Present"), ("destroyed", "Destroyed")], default="present", max_length=16
                    ),
                ),
                ("public_spki", models.BinaryField()),
                ("wrapped_private", models.BinaryField()),
                ("thumbprint", models.CharField(db_index=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("created_by", models.CharField(max_length=150)),
                ("destroyed_at", models.DateTimeField(null=True)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="keygroups.keygroup"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("group"),
                        django.db.models.functions.text.Lower("name"),
                        name="key_name_unique_in_group",
                        violation_error_message="A key of this name exists already in this group.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CloudVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("azure_name", models.CharField(max_length=127)),
                ("azure_version", models.CharField(blank=True, max_length=64)),
                ("kid", models.CharField(blank=True, max_length=512)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pushing", "Synchronizing"),
                            ("active", "Active"),
                            ("superseded", "Superseded"),
                            ("disabled", "Disabled"),
                            ("soft_deleted", "Deleted, recoverable"),
                            ("purged", "Purged"),
                            ("missing", "Missing in the vault"),
                            ("failed", "Failed"),
                        ],
                        default="pushing",
                        max_length=16,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("pushed_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "vault",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cloudcreds.keyvault"
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="cloud_versions", to="keygroups.key"
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cloud_versions",
                        to="keygroups.keygroup",
                    ),
                ),
                ("operations", models.JSONField(default=list)),
                ("tags", models.JSONField(null=True)),
                ("ordinal", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ["-pushed_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["purged", "failed", "missing"]), _negated=True),
                        fields=("key", "vault"),
                        name="one_living_version_per_key_and_vault",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "active")), fields=("group",), name="one_active_version_per_group"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Observation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("azure_version", models.CharField(max_length=64)),
                ("kid", models.CharField(blank=True, max_length=512)),
                ("seen_at", models.DateTimeField()),
                ("is_present", models.BooleanField(default=True)),
                ("enabled", models.BooleanField(null=True)),
                ("created_on", models.DateTimeField(null=True)),
                ("updated_on", models.DateTimeField(null=True)),
                ("expires_on", models.DateTimeField(null=True)),
                ("operations", models.JSONField(default=list)),
                ("tags", models.JSONField(default=dict)),
                ("flags", models.JSONField(default=list)),
                ("is_accepted", models.BooleanField(default=False)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="observations",
                        to="keygroups.keygroup",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="observations",
                        to="keygroups.cloudversion",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_on", "azure_version"],
                "constraints": [
                    models.UniqueConstraint(fields=("group", "azure_version"), name="one_observation_per_azure_version")
                ],
            },
        ),
    ]
