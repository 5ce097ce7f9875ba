from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0019_american_labels"),
    ]

    operations = [
        migrations.AlterField(
            model_name="jobmessage",
            name="severity",
            field=models.CharField(
                choices=[("info", "Info"), ("warning", "Warning"), ("error", "Critical")], default="info", max_length=16
            ),
        ),
    ]
