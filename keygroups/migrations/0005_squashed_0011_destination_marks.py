"""As an installation may stand at 0004 with rows of its own, what the migration 0007 does to rows is done here too."""

import django.db.models.deletion
from django.db import migrations, models


def keep_what_is_wanted(apps, _schema_editor):
    """Copy what was recorded as wanted, and take over how the last comparison saw each version."""
    versions = apps.get_model("keygroups", "CloudVersion").objects
    versions.update(wanted_enabled=models.F("enabled"), wanted_expires_at=models.F("expires_at"))
    groups = apps.get_model("keygroups", "KeyGroup").objects
    active = versions.filter(state="active").exclude(azure_version="")
    for group_id, azure_version in active.values_list("group_id", "azure_version").iterator():
        groups.filter(pk=group_id).update(current_version=azure_version)
    seen = apps.get_model("keygroups", "Observation").objects.filter(version__isnull=False, is_present=True)
    for row in seen.exclude(flags=[]).iterator():
        version = versions.filter(pk=row.version_id, azure_version=row.azure_version)
        version.update(differs=True, enabled=row.enabled, expires_at=row.expires_on)
        if row.enabled:
            # Which version is current is asked at the next comparison.
            version.filter(state="disabled").update(state="superseded")
        else:
            version.filter(state__in=["active", "superseded"]).update(state="disabled")


class Migration(migrations.Migration):
    replaces = [
        ("keygroups", "0005_rotation_slot"),
        ("keygroups", "0006_rotation_attempts"),
        ("keygroups", "0007_as_last_seen"),
        ("keygroups", "0008_key_reading"),
        ("keygroups", "0009_adopted_versions"),
        ("keygroups", "0010_key_mark"),
        ("keygroups", "0011_destination_marks"),
    ]

    dependencies = [
        ("jobs", "0008_rotation_slot_moves"),
        ("keygroups", "0004_version_order"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="RotationSlot",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("due_at", models.DateTimeField()),
                        ("job_id", models.UUIDField(db_index=True, null=True)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("pending", "Pending"),
                                    ("succeeded", "Succeeded"),
                                    ("failed", "Failed"),
                                    ("cancelled", "Cancelled"),
                                    ("refused", "Refused"),
                                    ("missed", "Missed"),
                                ],
                                default="pending",
                                max_length=16,
                            ),
                        ),
                        ("created_at", models.DateTimeField(auto_now_add=True)),
                        (
                            "group",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="rotation_slots",
                                to="keygroups.keygroup",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "jobs_rotationslot",
                        "ordering": ["-due_at"],
                        "constraints": [
                            models.UniqueConstraint(fields=("group", "due_at"), name="rotation_once_per_due_time")
                        ],
                    },
                ),
            ],
        ),
        migrations.AddField(
            model_name="rotationslot",
            name="attempts",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name="rotationslot",
            name="last_error",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="rotationslot",
            name="next_try_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="rotationslot",
            name="tried_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="differs",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_enabled",
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_expires_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="current_version",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="observation",
            name="not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="KeyReading",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="reading",
                        serialize=False,
                        to="keygroups.keygroup",
                    ),
                ),
                ("read_at", models.DateTimeField()),
                ("rotation", models.JSONField(null=True)),
                ("rotation_problem", models.TextField(blank=True)),
                ("platforms", models.JSONField(default=dict)),
            ],
        ),
        migrations.AddField(
            model_name="keygroup",
            name="adopted_versions",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="key",
            name="mark",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="mark",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="mark_number",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="save_signature",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="save_signer",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.RunPython(keep_what_is_wanted, migrations.RunPython.noop, elidable=True),
    ]
