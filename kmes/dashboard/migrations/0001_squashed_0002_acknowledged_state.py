from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("dashboard", "0001_acknowledgement"), ("dashboard", "0002_acknowledged_state")]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("matter", models.CharField(max_length=32)),
                ("subject", models.CharField(blank=True, max_length=36)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("reason", models.CharField(max_length=500)),
                ("acknowledged_at", models.DateTimeField()),
                ("acknowledged_by", models.CharField(max_length=150)),
                ("ended_at", models.DateTimeField(null=True)),
                ("state", models.CharField(blank=True, db_default="", default="", max_length=32)),
            ],
            options={
                "ordering": ["-acknowledged_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("matter", "subject"),
                        name="acknowledged_once_at_a_time",
                    )
                ],
            },
        ),
    ]
