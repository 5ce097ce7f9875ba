import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

ROLES = [
    ("admin", "Administrator"),
    ("custodian", "Key custodian"),
    ("operator", "Operator"),
    ("auditor", "Auditor"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_session_digests"),
    ]

    operations = [
        migrations.AddField(
            model_name="consolesession",
            name="sign_on",
            field=models.CharField(blank=True, db_default="", db_index=True, default="", max_length=64),
        ),
        migrations.CreateModel(
            name="SignOnProvider",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64, verbose_name="Name")),
                ("is_enabled", models.BooleanField(default=False)),
                ("issuer", models.CharField(max_length=255, verbose_name="Issuer")),
                ("client_id", models.CharField(max_length=255, verbose_name="Client ID")),
                ("scopes", models.CharField(max_length=255, verbose_name="Scopes")),
                ("username_claim", models.CharField(max_length=64, verbose_name="Claim with the user name")),
                ("groups_claim", models.CharField(max_length=64, verbose_name="Claim with the groups")),
                ("group_roles", models.JSONField(default=dict)),
                ("unmatched_role", models.CharField(blank=True, choices=ROLES, max_length=16)),
                ("may_link", models.BooleanField(default=False)),
                ("factor_values", models.JSONField(default=list)),
                ("are_local_for_emergencies", models.BooleanField(default=False)),
                ("sealed", models.BinaryField(max_length=4096)),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SignOnIdentity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("issuer", models.CharField(max_length=255)),
                ("subject", models.CharField(max_length=255)),
                ("seal", models.BinaryField(max_length=128)),
                ("added_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_on_identities",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("issuer", "subject"), name="sign_on_identity_once"),
                    models.UniqueConstraint(fields=("issuer", "user"), name="sign_on_user_once"),
                ],
            },
        ),
    ]
