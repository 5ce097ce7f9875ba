import django.db.models.deletion
import django.db.models.functions.text
import kmes.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("cloudcreds", "0001_initial"),
        ("cloudcreds", "0002_pace"),
        ("cloudcreds", "0003_vault_tests"),
        ("cloudcreds", "0004_secret_id"),
        ("cloudcreds", "0005_vault_circuit"),
        ("cloudcreds", "0006_ways_to_sign_in"),
        ("cloudcreds", "0007_kek_shape"),
        ("cloudcreds", "0008_vault_configuration"),
        ("cloudcreds", "0009_slow_sign_in"),
        ("cloudcreds", "0010_credential_mark"),
        ("cloudcreds", "0011_destination_marks"),
        ("cloudcreds", "0012_sealed_for"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="CloudCredential",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=128, verbose_name="Name")),
                (
                    "service",
                    models.CharField(
                        choices=[("azure", "Microsoft Azure")], default="azure", max_length=16, verbose_name="Service"
                    ),
                ),
                (
                    "cloud",
                    models.CharField(
                        choices=[
                            ("public", "Azure public"),
                            ("usgov", "Azure US Government"),
                            ("china", "Azure China"),
                            ("custom", "Custom endpoints"),
                        ],
                        default="public",
                        max_length=16,
                        verbose_name="Cloud",
                    ),
                ),
                ("tenant_id", models.CharField(max_length=64, verbose_name="Tenant ID")),
                ("client_id", models.CharField(blank=True, max_length=64, verbose_name="Client ID")),
                ("sealed_secret", models.BinaryField(default=bytes)),
                ("secret_set_at", models.DateTimeField(null=True)),
                ("authority_url", models.CharField(blank=True, max_length=255, verbose_name="Authority URL")),
                ("arm_url", models.CharField(blank=True, max_length=255, verbose_name="Resource Manager URL")),
                ("last_test", models.JSONField(blank=True, default=list)),
                ("last_test_ok", models.BooleanField(null=True)),
                ("last_tested_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("lock_version", models.PositiveIntegerField(default=1)),
                ("secret_id", models.CharField(blank=True, max_length=36, verbose_name="Secret ID")),
                ("sign_in_expires_on", models.DateField(blank=True, null=True, verbose_name="Secret expires on")),
                (
                    "sign_in",
                    models.CharField(
                        choices=[
                            ("secret", "Client secret"),
                            ("certificate", "Certificate, uploaded with its private key"),
                            ("device_certificate", "Certificate made here, private key in the HSM"),
                            ("federation", "Workload identity federation (token file)"),
                            ("managed_identity", "Managed identity of the worker's host"),
                        ],
                        default="secret",
                        max_length=32,
                        verbose_name="Sign in with",
                    ),
                ),
                ("slow_until", models.DateTimeField(null=True)),
                ("mark", models.BinaryField(default=bytes)),
                ("mark_number", models.PositiveIntegerField(default=0)),
                ("save_signature", models.BinaryField(default=bytes)),
                ("save_signer", models.CharField(blank=True, max_length=16)),
                ("sealed_for", models.JSONField(default=list, editable=False)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        name="credential_name_unique",
                        violation_error_message="A cloud credential of this name exists already.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="KeyVault",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=64)),
                ("url", models.CharField(max_length=255)),
                (
                    "tier",
                    models.CharField(
                        choices=[("premium", "Premium"), ("standard", "Standard"), ("unknown", "Not known yet")],
                        default="unknown",
                        max_length=16,
                    ),
                ),
                ("recovery_level", models.CharField(blank=True, max_length=64)),
                ("recoverable_days", models.PositiveSmallIntegerField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="vaults",
                        to="cloudcreds.cloudcredential",
                    ),
                ),
                ("recent_changes", models.JSONField(default=list)),
                ("last_test", models.JSONField(blank=True, default=list)),
                ("last_test_ok", models.BooleanField(null=True)),
                ("last_tested_at", models.DateTimeField(null=True)),
                ("kek_bits", models.PositiveSmallIntegerField(null=True)),
                ("kek_days", models.PositiveSmallIntegerField(null=True)),
                ("policies", models.JSONField(null=True)),
                ("mark", models.BinaryField(default=bytes)),
                ("mark_number", models.PositiveIntegerField(default=0)),
                ("save_signature", models.BinaryField(default=bytes)),
                ("save_signer", models.CharField(blank=True, max_length=16)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("credential"),
                        django.db.models.functions.text.Lower("url"),
                        name="vault_url_unique_per_credential",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="VaultCircuit",
            fields=[
                (
                    "vault",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="circuit",
                        serialize=False,
                        to="cloudcreds.keyvault",
                    ),
                ),
                ("failures", models.PositiveIntegerField(default=0)),
                ("last_error", models.TextField(blank=True)),
                ("opened_at", models.DateTimeField(null=True)),
                ("retry_at", models.DateTimeField(null=True)),
                ("pauses", models.PositiveIntegerField(default=0)),
                ("probe_job_id", models.UUIDField(null=True)),
                ("probe_until", models.DateTimeField(null=True)),
                ("slow_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SignInCertificate",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("pem", models.TextField()),
                ("thumbprint", models.CharField(max_length=40, verbose_name="Thumbprint")),
                ("thumbprint_sha256", models.CharField(max_length=64)),
                ("not_before", models.DateTimeField()),
                ("not_after", models.DateTimeField()),
                ("sealed_key", models.BinaryField(default=bytes)),
                ("wrapped_key", models.BinaryField(default=bytes)),
                ("is_in_use", models.BooleanField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="certificates",
                        to="cloudcreds.cloudcredential",
                    ),
                ),
                ("sealed_for", models.JSONField(default=list, editable=False)),
            ],
            options={
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "is_in_use"), name="one_certificate_in_use_and_one_waiting"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("sealed_key", b""), models.Q(("wrapped_key", b""), _negated=True)),
                            models.Q(models.Q(("sealed_key", b""), _negated=True), ("wrapped_key", b"")),
                            _connector="OR",
                        ),
                        name="certificate_key_sealed_or_wrapped",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VaultConfiguration",
            fields=[
                (
                    "vault",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="configuration",
                        serialize=False,
                        to="cloudcreds.keyvault",
                    ),
                ),
                (
                    "access_model",
                    models.CharField(choices=[("roles", "Azure RBAC"), ("policies", "Access policies")], max_length=16),
                ),
                ("public_access", models.BooleanField()),
                ("firewall", models.BooleanField()),
                ("private_endpoints", models.PositiveSmallIntegerField()),
                ("read_at", models.DateTimeField()),
            ],
        ),
    ]
