from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_dual_login"),
    ]

    operations = [
        # Any role: which ones there are is no matter of the schema.
        migrations.AlterField(
            model_name="signonprovider",
            name="unmatched_role",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="signonprovider",
            name="signs_out_there",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
