import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_failed_sign_ins"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        # They are read no more, and open nothing.
        migrations.RunSQL("DELETE FROM django_session", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ConsoleSession",
            fields=[
                (
                    "session_key",
                    models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="session key"),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("name", models.CharField(max_length=32, unique=True)),
                ("address", models.CharField(blank=True, max_length=45, verbose_name="Address")),
                ("device", models.CharField(blank=True, max_length=48, verbose_name="Device")),
                ("began_at", models.DateTimeField(null=True, verbose_name="Signed in")),
                ("used_at", models.DateTimeField(null=True, verbose_name="Last used")),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="KnownDevice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("device", models.CharField(blank=True, max_length=48)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("seen_at", models.DateTimeField()),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "device", "address"), name="device_known_once")
                ],
            },
        ),
    ]
