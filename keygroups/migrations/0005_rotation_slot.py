"""Take over the table of rotation slots from ``jobs`` as it is."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
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
    ]
