"""The format of each row's hash, and a name for the provider's request id that fits every provider.

No row is rewritten: rows there are get format 1, their own, and the column ``azure_request_id`` stays.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("logging_reports", "0006_search")]

    operations = [
        # In SQL, because Django would copy the whole table on SQLite, and drop its triggers.
        migrations.RunSQL(
            "ALTER TABLE logging_reports_logentry ADD COLUMN chain_format smallint DEFAULT 1 NOT NULL",
            state_operations=[
                migrations.AddField(
                    model_name="logentry",
                    name="chain_format",
                    field=models.SmallIntegerField(db_default=1, default=2, verbose_name="chain format"),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="logentry",
            name="azure_request_id",
            field=models.CharField(
                blank=True, db_column="azure_request_id", max_length=128, verbose_name="Azure request id"
            ),
        ),
        migrations.RenameField(
            model_name="logentry",
            old_name="azure_request_id",
            new_name="provider_request_id",
        ),
    ]
