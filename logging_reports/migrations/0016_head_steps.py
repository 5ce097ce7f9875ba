from django.db import migrations

from logging_reports import triggers


def install_triggers(apps, schema_editor):
    """Limit the steps by which the end of a log moves."""
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("logging_reports", "0015_american_labels"),
    ]

    operations = [
        migrations.RunPython(install_triggers, migrations.RunPython.noop),
    ]
