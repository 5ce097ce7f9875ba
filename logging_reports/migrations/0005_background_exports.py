"""Background exports as rows, and saved filters."""

import django.db.models.functions.text
import kmes.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("logging_reports", "0004_checkpoints")]

    operations = [
        migrations.CreateModel(
            name="LogExport",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Azure Service"), ("audit", "Audit"), ("device", "Device")],
                        max_length=16,
                        verbose_name="log",
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("csv", "CSV, for people"), ("jsonl", "JSON Lines, for verifying")],
                        max_length=8,
                        verbose_name="format",
                    ),
                ),
                ("wanted", models.JSONField(default=dict)),
                ("query", models.TextField(blank=True)),
                ("up_to", models.BigIntegerField()),
                ("requested_by", models.CharField(max_length=255, verbose_name="asked for by")),
                ("requested_by_id", models.BigIntegerField(null=True)),
                ("trigger", models.CharField(max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Waiting"),
                            ("running", "Running"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("expired", "Expired"),
                        ],
                        default="queued",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("rows_total", models.BigIntegerField(null=True)),
                ("rows_done", models.BigIntegerField(default=0)),
                ("file_name", models.CharField(blank=True, max_length=96, verbose_name="file")),
                ("size", models.BigIntegerField(default=0, verbose_name="size")),
                ("sha256", models.CharField(blank=True, max_length=64, verbose_name="SHA-256")),
                ("error_what", models.TextField(blank=True)),
                ("error_remedy", models.TextField(blank=True)),
                ("cancel_requested_by", models.CharField(blank=True, max_length=255)),
                ("created_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="SavedFilter",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("query", models.TextField(verbose_name="filter")),
                ("owner_id", models.BigIntegerField()),
                ("owner_name", models.CharField(max_length=255, verbose_name="owner")),
                ("is_shared", models.BooleanField(default=False, verbose_name="shared")),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.AddIndex(
            model_name="logexport",
            index=models.Index(fields=["-created_at"], name="log_export_newest"),
        ),
        migrations.AddIndex(
            model_name="logexport",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "running"])), fields=["state"], name="log_export_open"
            ),
        ),
        migrations.AddIndex(
            model_name="savedfilter",
            index=models.Index(fields=["is_shared", "name"], name="saved_filter_shared"),
        ),
        migrations.AddConstraint(
            model_name="savedfilter",
            constraint=models.UniqueConstraint(
                models.F("owner_id"),
                django.db.models.functions.text.Lower("name"),
                name="saved_filter_once_per_owner",
                violation_error_message="You have a filter of this name already.",
            ),
        ),
    ]
