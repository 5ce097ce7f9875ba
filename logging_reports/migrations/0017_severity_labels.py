from django.db import migrations, models

_SEVERITIES = [("info", "Info"), ("warning", "Warning"), ("error", "Critical")]


class Migration(migrations.Migration):
    dependencies = [
        ("logging_reports", "0016_head_steps"),
    ]

    operations = [
        migrations.AlterField(
            model_name="forwardingdestination",
            name="lowest_severity",
            field=models.CharField(choices=_SEVERITIES, default="info", max_length=16, verbose_name="Lowest severity"),
        ),
        migrations.AlterField(
            model_name="logentry",
            name="severity",
            field=models.CharField(choices=_SEVERITIES, max_length=16, verbose_name="severity"),
        ),
        migrations.AlterField(
            model_name="notice",
            name="severity",
            field=models.CharField(choices=_SEVERITIES, max_length=16, verbose_name="Severity"),
        ),
    ]
