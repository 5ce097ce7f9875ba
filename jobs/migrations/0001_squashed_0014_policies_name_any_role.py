import django.db.models.deletion
import kmes.core.clock
import kmes.core.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("jobs", "0001_initial"),
        ("jobs", "0002_certifications"),
        ("jobs", "0003_followers_and_repairs"),
        ("jobs", "0004_schedule_clock"),
        ("jobs", "0005_intents_by_uptime"),
        ("jobs", "0006_lost_runs"),
        ("jobs", "0007_kind_without_choices"),
        ("jobs", "0008_rotation_slot_moves"),
        ("jobs", "0009_job_vault"),
        ("jobs", "0010_job_warnings"),
        ("jobs", "0011_request_signatures"),
        ("jobs", "0012_approvals"),
        ("jobs", "0013_job_parts"),
        ("jobs", "0014_policies_name_any_role"),
    ]

    initial = True

    dependencies = [
        ("cloudcreds", "0005_vault_circuit"),
        ("keygroups", "0002_comparison"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "code",
                    models.CharField(default=kmes.core.ids.new_job_code, editable=False, max_length=12, unique=True),
                ),
                ("kind", models.CharField(max_length=24)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("awaiting", "Awaiting approval"),
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("succeeded", "Succeeded"),
                            ("warned", "Succeeded with a warning"),
                            ("partly_failed", "Partly failed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                        max_length=16,
                    ),
                ),
                ("subject", models.CharField(blank=True, max_length=160)),
                ("actor_name", models.CharField(max_length=150)),
                ("trigger", models.CharField(max_length=16)),
                ("params", models.JSONField(default=dict)),
                ("azure_lock", models.CharField(blank=True, max_length=420)),
                ("idempotency_key", models.CharField(max_length=128, null=True, unique=True)),
                ("device_serial", models.CharField(blank=True, max_length=64)),
                ("fence", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("lease_owner", models.CharField(blank=True, max_length=128)),
                ("lease_until", models.DateTimeField(null=True)),
                ("run_after", models.DateTimeField()),
                ("waiting_for", models.CharField(blank=True, max_length=200)),
                ("cancel_requested_at", models.DateTimeField(null=True)),
                ("cancel_requested_by", models.CharField(blank=True, max_length=150)),
                ("created_at", models.DateTimeField(db_index=True, default=kmes.core.clock.now, editable=False)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("error_what", models.TextField(blank=True)),
                ("error_remedy", models.TextField(blank=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                (
                    "credential",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to="cloudcreds.cloudcredential",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to="keygroups.keygroup",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "retry_of",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="retries", to="jobs.job"
                    ),
                ),
                (
                    "follows",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="followers", to="jobs.job"
                    ),
                ),
                ("lost_runs", models.PositiveIntegerField(default=0)),
                (
                    "vault",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to="cloudcreds.keyvault",
                    ),
                ),
                ("request_signature", models.BinaryField(default=bytes)),
                ("request_signer", models.CharField(blank=True, max_length=16)),
                ("run_notes", models.JSONField(default=dict)),
                (
                    "part_of",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="parts", to="jobs.job"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(condition=models.Q(("state", "queued")), fields=["run_after"], name="job_queued"),
                    models.Index(condition=models.Q(("state", "running")), fields=["lease_until"], name="job_running"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "running"), models.Q(("azure_lock", ""), _negated=True)),
                        fields=("azure_lock",),
                        name="one_running_job_per_azure_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Intent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("fence", models.PositiveIntegerField()),
                ("operation", models.CharField(max_length=24)),
                ("azure_lock", models.CharField(db_index=True, max_length=420)),
                ("thumbprint", models.CharField(blank=True, max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Under way"),
                            ("ok", "Done"),
                            ("refused", "Refused"),
                            ("unknown", "Outcome unknown"),
                            ("adopted", "Found done"),
                            ("void", "Never arrived"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("sent_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(null=True)),
                ("kid", models.CharField(blank=True, max_length=512)),
                (
                    "key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="intents",
                        to="keygroups.key",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="intents", to="jobs.job"
                    ),
                ),
                ("sent_boot_id", models.CharField(blank=True, max_length=64)),
                ("sent_uptime", models.FloatField(default=0.0)),
            ],
            options={
                "ordering": ["sent_at"],
            },
        ),
        migrations.CreateModel(
            name="EphemeralKek",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=127)),
                ("kid", models.CharField(blank=True, max_length=512)),
                ("modulus_bits", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("live", "In the vault"),
                            ("deleted", "Deleted"),
                            ("discarded", "Discarded, to be confirmed"),
                            ("gone", "Gone"),
                        ],
                        default="planned",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("note", models.TextField(blank=True)),
                ("sweep_attempts", models.PositiveIntegerField(default=0)),
                (
                    "vault",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cloudcreds.keyvault"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="keks", to="jobs.job"),
                ),
                ("next_sweep_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["created_at"],
                "constraints": [models.UniqueConstraint(fields=("vault", "name"), name="kek_name_once_per_vault")],
            },
        ),
        migrations.CreateModel(
            name="JobMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("error", "Error")],
                        default="info",
                        max_length=16,
                    ),
                ),
                ("text", models.TextField()),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="messages", to="jobs.job"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="JobStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=48)),
                ("subject", models.CharField(blank=True, max_length=160)),
                ("ordinal", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("warned", "Done, with a warning"),
                            ("failed", "Failed"),
                            ("skipped", "Not needed"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("detail", models.TextField(blank=True)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "job",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="jobs.job"),
                ),
            ],
            options={
                "ordering": ["ordinal"],
                "constraints": [models.UniqueConstraint(fields=("job", "name", "subject"), name="step_once_per_job")],
            },
        ),
        migrations.CreateModel(
            name="JobTarget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ordinal", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("not_tried", "Not tried"),
                            ("skipped", "Skipped"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("detail", models.TextField(blank=True)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="targets", to="jobs.job"
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="job_targets", to="keygroups.key"
                    ),
                ),
                ("request_signature", models.BinaryField(default=bytes)),
            ],
            options={
                "ordering": ["ordinal"],
                "constraints": [models.UniqueConstraint(fields=("job", "key"), name="key_once_per_job")],
            },
        ),
        migrations.CreateModel(
            name="Certification",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "code",
                    models.CharField(default=kmes.core.ids.new_job_code, editable=False, max_length=12, unique=True),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("passed", "Passed"),
                            ("incomplete", "Passed, not all proven"),
                            ("failed", "Failed"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("vault_name", models.CharField(max_length=64)),
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
                    ),
                ),
                ("actor_name", models.CharField(max_length=150)),
                ("idempotency_key", models.CharField(max_length=128, null=True, unique=True)),
                ("created_at", models.DateTimeField(default=kmes.core.clock.now, editable=False)),
                ("finished_at", models.DateTimeField(null=True)),
                ("left_behind", models.JSONField(null=True)),
                ("report", models.TextField(blank=True)),
                ("signature", models.BinaryField(default=bytes)),
                ("signer_spki", models.BinaryField(default=bytes)),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="certifications",
                        to="keygroups.keygroup",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "vault",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="cloudcreds.keyvault",
                    ),
                ),
                ("request_signature", models.BinaryField(default=bytes)),
                ("request_signer", models.CharField(blank=True, max_length=16)),
            ],
            options={
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "running")),
                        fields=("vault",),
                        name="one_running_certification_per_vault",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CertificationStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ordinal", models.PositiveSmallIntegerField()),
                ("name", models.CharField(max_length=32)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "To do"),
                            ("running", "Running"),
                            ("done", "Passed"),
                            ("failed", "Failed"),
                            ("skipped", "Does not apply"),
                            ("unproven", "Not proven"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("detail", models.TextField(blank=True)),
                ("evidence", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "certification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="jobs.certification"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="jobs.job"
                    ),
                ),
            ],
            options={
                "ordering": ["ordinal"],
                "constraints": [
                    models.UniqueConstraint(fields=("certification", "name"), name="step_once_per_certification")
                ],
            },
        ),
        migrations.CreateModel(
            name="ClockWitness",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("boot_id", models.CharField(max_length=64, unique=True)),
                ("at", models.DateTimeField()),
                ("uptime_seconds", models.FloatField()),
            ],
        ),
        migrations.CreateModel(
            name="ScheduleClock",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("last_tick_at", models.DateTimeField(null=True)),
                ("held_since", models.DateTimeField(null=True)),
                (
                    "held_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("clock_back", "The clock was set back"),
                            ("clock_forward", "The clock was set forward"),
                            ("long_silence", "The schedule was silent for long, on a machine that has restarted since"),
                            ("restored", "A backup was restored"),
                        ],
                        max_length=24,
                    ),
                ),
                ("steady_since", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_schedule_clock")],
            },
        ),
        migrations.CreateModel(
            name="ApprovalPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("action", models.CharField(max_length=24)),
                ("number", models.PositiveIntegerField()),
                ("approvals", models.PositiveSmallIntegerField()),
                ("role", models.CharField(max_length=16)),
                ("expires_hours", models.PositiveSmallIntegerField()),
                ("changed_by", models.CharField(max_length=150)),
                ("changed_at", models.DateTimeField()),
                ("signature", models.BinaryField()),
            ],
            options={
                "ordering": ["action", "-number"],
                "constraints": [models.UniqueConstraint(fields=("action", "number"), name="approval_policy_once")],
            },
        ),
        migrations.CreateModel(
            name="ApprovalRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("plan", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("reason", models.CharField(max_length=500)),
                ("requirements", models.JSONField()),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("signer", models.CharField(max_length=16)),
                ("signature", models.BinaryField()),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="approval_request", to="jobs.job"
                    ),
                ),
            ],
            options={
                "ordering": ["-requested_at"],
            },
        ),
        migrations.CreateModel(
            name="ApprovalDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user_name", models.CharField(max_length=150)),
                ("verdict", models.CharField(choices=[("approve", "Approved"), ("refuse", "Refused")], max_length=8)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("decided_at", models.DateTimeField()),
                ("signature", models.BinaryField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="decisions", to="jobs.approvalrequest"
                    ),
                ),
            ],
            options={
                "ordering": ["decided_at", "pk"],
                "constraints": [models.UniqueConstraint(fields=("request", "user"), name="decision_once_per_user")],
            },
        ),
        # The app ``keygroups`` owns the model of this table; its migration 0005 takes the table over as it is.
        migrations.SeparateDatabaseAndState(
            database_operations=[
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
                        ("created_at", models.DateTimeField(auto_now_add=True)),
                        (
                            "group",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="rotation_slots",
                                to="keygroups.keygroup",
                            ),
                        ),
                        ("job_id", models.UUIDField(db_index=True, null=True)),
                        ("state", models.CharField(default="pending", max_length=16)),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("group", "due_at"), name="rotation_once_per_due_time")
                        ],
                    },
                ),
            ],
        ),
    ]
