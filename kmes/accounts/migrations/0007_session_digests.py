from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_passkeys"),
    ]

    operations = [
        # Their keys stood in clear, in copies and backups too, so they end: everybody signs in again.
        migrations.RunSQL("DELETE FROM accounts_consolesession", "DELETE FROM accounts_consolesession"),
        migrations.RenameField(model_name="consolesession", old_name="session_key", new_name="digest"),
        migrations.AlterField(
            model_name="consolesession",
            name="digest",
            field=models.CharField(max_length=64, primary_key=True, serialize=False),
        ),
    ]
