import django.db.models.deletion
import django.db.models.functions.text
import kmes.core.ids
from django.db import DatabaseError, migrations, models, transaction

from logging_reports import triggers

SEARCHED = ("message", "event", "credential", "vault", "group", "key", "version", "job_code", "azure_request_id")


def make_trigram_index(apps, schema_editor):
    """Index the searched text by trigrams, where PostgreSQL lets us have the extension.

    Without it the search works and takes longer; an administrator may create the extension and this
    index later (docs/log.md).
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    joined = " || chr(10) || ".join(f'"{name}"' for name in SEARCHED)
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:
        return
    schema_editor.execute(
        f"CREATE INDEX log_entry_searched ON logging_reports_logentry USING gin (UPPER(({joined})) gin_trgm_ops)"
    )


def install_triggers(apps, schema_editor):
    """Let the database refuse to change the log."""
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    replaces = [
        ("logging_reports", "0001_initial"),
        ("logging_reports", "0002_immutable"),
        ("logging_reports", "0003_notices"),
        ("logging_reports", "0004_checkpoints"),
        ("logging_reports", "0005_background_exports"),
        ("logging_reports", "0006_search"),
        ("logging_reports", "0007_chain_format"),
        ("logging_reports", "0008_plain_csv"),
        ("logging_reports", "0009_log_guards"),
        ("logging_reports", "0010_time_stamps"),
        ("logging_reports", "0011_forwarding"),
        ("logging_reports", "0012_sign_in_notices"),
        ("logging_reports", "0013_approval_notices"),
        ("logging_reports", "0014_access_notices"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LogHead",
            fields=[
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Azure Service"), ("audit", "Audit"), ("device", "Device")],
                        max_length=16,
                        primary_key=True,
                        serialize=False,
                        verbose_name="service",
                    ),
                ),
                ("sequence", models.BigIntegerField(default=0, verbose_name="sequence")),
                ("hash", models.CharField(max_length=64, verbose_name="hash")),
            ],
        ),
        migrations.CreateModel(
            name="LogEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Azure Service"), ("audit", "Audit"), ("device", "Device")],
                        max_length=16,
                        verbose_name="service",
                    ),
                ),
                ("sequence", models.BigIntegerField(verbose_name="sequence")),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("authentication", "Authentication"),
                            ("vault", "Vault"),
                            ("kek", "KEK"),
                            ("key-wrap", "Key wrap"),
                            ("import", "Import"),
                            ("verification", "Verification"),
                            ("version-state", "Version state"),
                            ("rotation", "Rotation"),
                            ("deletion", "Deletion"),
                            ("recovery", "Recovery"),
                            ("purge", "Purge"),
                            ("throttling", "Throttling"),
                            ("permission", "Permission"),
                            ("connectivity", "Connectivity"),
                            ("drift", "Drift"),
                            ("access", "Access"),
                            ("configuration", "Configuration"),
                            ("keys", "Keys"),
                            ("jobs", "Jobs"),
                            ("export", "Export"),
                            ("integrity", "Integrity"),
                            ("device", "Device"),
                        ],
                        max_length=32,
                        verbose_name="category",
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("error", "Error")],
                        max_length=16,
                        verbose_name="severity",
                    ),
                ),
                ("event", models.CharField(max_length=64, verbose_name="event")),
                ("actor_name", models.CharField(blank=True, max_length=255, verbose_name="actor")),
                ("actor_trigger", models.CharField(blank=True, max_length=16, verbose_name="trigger")),
                ("actor_user_id", models.BigIntegerField(null=True, verbose_name="user id")),
                ("credential_id", models.CharField(blank=True, max_length=64, verbose_name="credential id")),
                ("credential", models.CharField(blank=True, max_length=255, verbose_name="credential")),
                ("vault", models.CharField(blank=True, max_length=255, verbose_name="vault")),
                ("group_id", models.CharField(blank=True, max_length=64, verbose_name="key group id")),
                ("group", models.CharField(blank=True, max_length=255, verbose_name="key group")),
                ("key_id", models.CharField(blank=True, max_length=64, verbose_name="key id")),
                ("key", models.CharField(blank=True, max_length=255, verbose_name="key")),
                ("version", models.CharField(blank=True, max_length=64, verbose_name="version")),
                ("job_id", models.UUIDField(null=True, verbose_name="job id")),
                ("job_code", models.CharField(blank=True, max_length=16, verbose_name="job")),
                (
                    "provider_request_id",
                    models.CharField(
                        blank=True, db_column="azure_request_id", max_length=128, verbose_name="Azure request id"
                    ),
                ),
                ("http_status", models.IntegerField(null=True, verbose_name="HTTP status")),
                ("duration_ms", models.BigIntegerField(null=True, verbose_name="duration (ms)")),
                ("message", models.TextField(blank=True, verbose_name="message")),
                ("data", models.JSONField(blank=True, default=dict, verbose_name="data")),
                ("truncated", models.BooleanField(default=False, verbose_name="truncated")),
                ("previous_hash", models.CharField(max_length=64, verbose_name="previous hash")),
                ("hash", models.CharField(max_length=64, verbose_name="hash")),
                ("chain_format", models.SmallIntegerField(db_default=1, default=2, verbose_name="chain format")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["service", "at"], name="log_entry_time"),
                    models.Index(fields=["service", "category", "sequence"], name="log_entry_category"),
                    models.Index(fields=["service", "severity", "sequence"], name="log_entry_severity"),
                    models.Index(fields=["service", "job_code", "sequence"], name="log_entry_job"),
                    models.Index(fields=["service", "job_id", "sequence"], name="log_entry_job_id"),
                    models.Index(fields=["service", "key_id", "sequence"], name="log_entry_key"),
                    models.Index(fields=["service", "group_id", "sequence"], name="log_entry_group"),
                    models.Index(
                        models.F("service"),
                        django.db.models.functions.text.Upper("actor_name"),
                        models.F("sequence"),
                        name="log_entry_actor_any_case",
                    ),
                    models.Index(
                        models.F("service"),
                        django.db.models.functions.text.Upper("key"),
                        models.F("sequence"),
                        name="log_entry_key_any_case",
                    ),
                    models.Index(
                        models.F("service"),
                        django.db.models.functions.text.Upper("group"),
                        models.F("sequence"),
                        name="log_entry_group_any_case",
                    ),
                    models.Index(fields=["service", "event", "sequence"], name="log_entry_event"),
                ],
                "constraints": [models.UniqueConstraint(fields=("service", "sequence"), name="log_entry_position")],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, unique=True)),
                (
                    "topic",
                    models.CharField(
                        choices=[
                            ("jobs", "Failed jobs"),
                            ("rotation", "Missed or failed rotations"),
                            ("expiry", "Keys and client secrets near expiry"),
                            ("drift", "Drift between console and vault"),
                            ("vault", "Vault unreachable"),
                            ("device", "Device away or back"),
                            ("export", "Own exports that are ready"),
                            ("approval", "Approvals requested or refused"),
                            ("access", "Company sign-on: changed, or not used"),
                            ("sign_in", "Own sign-in: new devices, second factor"),
                            ("log", "Log chain broken"),
                            ("delivery", "Notices that did not get out"),
                            ("test", "Tests of a channel"),
                        ],
                        max_length=16,
                        verbose_name="Topic",
                    ),
                ),
                ("event", models.CharField(max_length=64)),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("error", "Error")],
                        max_length=16,
                        verbose_name="Severity",
                    ),
                ),
                ("message", models.TextField(verbose_name="Message")),
                ("count", models.PositiveIntegerField(default=1)),
                ("at", models.DateTimeField(db_index=True, verbose_name="Time")),
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Azure Service"), ("audit", "Audit"), ("device", "Device")], max_length=16
                    ),
                ),
                ("sequence", models.BigIntegerField()),
                ("url", models.CharField(max_length=255)),
                ("user_id", models.BigIntegerField(null=True)),
            ],
            options={
                "ordering": ["-at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="Reminder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=160, unique=True)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(choices=[("mail", "Mail"), ("webhook", "Webhook")], max_length=16)),
                ("name", models.CharField(max_length=64, verbose_name="Name")),
                ("is_enabled", models.BooleanField(default=True, verbose_name="In use")),
                ("url", models.CharField(blank=True, max_length=500, verbose_name="URL")),
                ("recipients", models.JSONField(blank=True, default=list, verbose_name="Recipients")),
                ("rules", models.JSONField(default=dict)),
                ("user_id", models.BigIntegerField(null=True, unique=True)),
                ("salt", models.CharField(blank=True, max_length=32)),
                ("key_check", models.CharField(blank=True, max_length=6)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        condition=models.Q(("deleted_at__isnull", True)),
                        name="channel_name_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Given up")],
                        default="waiting",
                        max_length=16,
                        verbose_name="State",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="Tries")),
                ("next_try_at", models.DateTimeField(verbose_name="Next try")),
                ("lease_until", models.DateTimeField(null=True)),
                ("last_answer", models.CharField(blank=True, max_length=255, verbose_name="Last answer")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="logging_reports.channel",
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="logging_reports.notice",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")), fields=["next_try_at"], name="delivery_waiting"
                    ),
                    models.Index(fields=["channel", "-created_at"], name="delivery_of_channel"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("notice", "channel"), name="delivery_once_per_channel")
                ],
            },
        ),
        migrations.CreateModel(
            name="NoticeRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user_id", models.BigIntegerField()),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="readings",
                        to="logging_reports.notice",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("notice", "user_id"), name="notice_read_once")],
            },
        ),
        migrations.CreateModel(
            name="LogCheckpoint",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="number")),
                ("at", models.DateTimeField(verbose_name="time")),
                ("text", models.TextField(verbose_name="text")),
                ("signature", models.BinaryField(verbose_name="signature")),
                ("public_key", models.BinaryField(verbose_name="public key")),
                ("hash", models.CharField(max_length=64, verbose_name="hash")),
            ],
            options={
                "ordering": ["-number"],
            },
        ),
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
                        choices=[
                            ("csv", "CSV, for Excel"),
                            ("csv-utf8", "CSV, plain UTF-8"),
                            ("jsonl", "JSON Lines, for verifying"),
                        ],
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
                "indexes": [
                    models.Index(fields=["-created_at"], name="log_export_newest"),
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "running"])),
                        fields=["state"],
                        name="log_export_open",
                    ),
                ],
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
                "indexes": [models.Index(fields=["is_shared", "name"], name="saved_filter_shared")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("owner_id"),
                        django.db.models.functions.text.Lower("name"),
                        name="saved_filter_once_per_owner",
                        violation_error_message="You have a filter of this name already.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CheckpointTimeStamp",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="number")),
                ("at", models.DateTimeField(verbose_name="time")),
                ("authority", models.CharField(max_length=255, verbose_name="authority")),
                ("policy", models.CharField(max_length=128, verbose_name="policy")),
                ("response", models.BinaryField(verbose_name="time stamp")),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-number"],
            },
        ),
        migrations.CreateModel(
            name="TimeStampOutage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("failures", models.IntegerField(default=0)),
                ("failing_since", models.DateTimeField(null=True)),
                ("last_error", models.CharField(blank=True, max_length=255)),
                ("next_try_at", models.DateTimeField()),
                ("is_reported", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="ForwardingDestination",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=64, verbose_name="Name")),
                ("is_enabled", models.BooleanField(default=True, verbose_name="In use")),
                (
                    "transport",
                    models.CharField(
                        choices=[("syslog", "Syslog over TLS"), ("collector", "HTTP event collector")],
                        max_length=16,
                        verbose_name="Transport",
                    ),
                ),
                (
                    "row_format",
                    models.CharField(
                        choices=[("rfc5424", "RFC 5424, structured data"), ("cef", "CEF"), ("json", "JSON")],
                        max_length=16,
                        verbose_name="Format",
                    ),
                ),
                ("host", models.CharField(max_length=253, verbose_name="Host")),
                ("port", models.PositiveIntegerField(verbose_name="Port")),
                ("path", models.CharField(blank=True, max_length=200, verbose_name="Path")),
                ("ca_certificates", models.TextField(blank=True, verbose_name="CA certificates")),
                ("token", models.CharField(blank=True, max_length=1024)),
                ("services", models.JSONField(default=list, verbose_name="Logs")),
                (
                    "lowest_severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("error", "Error")],
                        default="info",
                        max_length=16,
                        verbose_name="Lowest severity",
                    ),
                ),
                ("events", models.JSONField(blank=True, default=list, verbose_name="Events")),
                ("seal", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("run_number", models.BigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(null=True)),
                ("last_run_at", models.DateTimeField(null=True)),
                ("last_success_at", models.DateTimeField(null=True, verbose_name="Last success")),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(null=True)),
                ("last_error", models.CharField(blank=True, max_length=500, verbose_name="Last error")),
                ("next_try_at", models.DateTimeField(null=True)),
                ("is_alarmed", models.BooleanField(default=False)),
                ("test_requested_at", models.DateTimeField(null=True)),
                ("tested_at", models.DateTimeField(null=True)),
                ("test_passed", models.BooleanField(default=False)),
                ("test_result", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"), name="forwarding_name_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ForwardingPosition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Azure Service"), ("audit", "Audit"), ("device", "Device")],
                        max_length=16,
                        verbose_name="Log",
                    ),
                ),
                ("start", models.BigIntegerField(default=0)),
                ("confirmed", models.BigIntegerField(default=0)),
                ("last_sent", models.BigIntegerField(default=0)),
                ("announced", models.BigIntegerField(default=0)),
                ("settled", models.BigIntegerField(default=0)),
                ("settling", models.BigIntegerField(default=0)),
                ("settling_since", models.DateTimeField(null=True)),
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="positions",
                        to="logging_reports.forwardingdestination",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("destination", "service"), name="forwarding_position_once")
                ],
            },
        ),
        migrations.RunPython(make_trigram_index, migrations.RunPython.noop),
        migrations.RunPython(install_triggers, migrations.RunPython.noop),
    ]
