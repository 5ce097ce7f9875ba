import django.db.models.deletion
import kmes.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("hsm", "0001_initial"),
        ("hsm", "0002_availability"),
        ("hsm", "0003_report_key"),
        ("hsm", "0004_workers"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="HsmDevice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=kmes.core.ids.new_uuid, editable=False, primary_key=True, serialize=False),
                ),
                ("serial", models.CharField(max_length=64, unique=True, verbose_name="Serial number")),
                ("label", models.CharField(max_length=64, verbose_name="Label")),
                ("manufacturer", models.CharField(max_length=64, verbose_name="Manufacturer")),
                ("model", models.CharField(max_length=64, verbose_name="Model")),
                ("firmware", models.CharField(max_length=32, verbose_name="Firmware")),
                ("mfk_public_spki", models.BinaryField()),
                ("mfk_kcv", models.CharField(max_length=16, verbose_name="MFK check value")),
                ("pmk_kcv", models.CharField(max_length=16, verbose_name="PMK check value")),
                ("sentinel_hash", models.CharField(max_length=64)),
                ("mechanisms", models.JSONField(default=list)),
                ("is_designated", models.BooleanField(default=False, verbose_name="Designated")),
                ("self_test", models.JSONField(default=list)),
                ("self_test_at", models.DateTimeField(null=True)),
                ("registered_at", models.DateTimeField(auto_now_add=True)),
                ("last_seen_at", models.DateTimeField(null=True)),
                ("availability", models.CharField(default="ok", max_length=32)),
                ("report_spki", models.BinaryField(default=bytes)),
            ],
            options={
                "ordering": ["label", "serial"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_designated", True)),
                        fields=("is_designated",),
                        name="one_designated_device",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkerSighting",
            fields=[
                ("host", models.CharField(max_length=128, primary_key=True, serialize=False, verbose_name="Host")),
                ("state", models.CharField(max_length=32)),
                ("version", models.CharField(max_length=32)),
                ("seen_at", models.DateTimeField()),
                (
                    "device",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="workers",
                        to="hsm.hsmdevice",
                    ),
                ),
            ],
            options={
                "ordering": ["host"],
            },
        ),
    ]
