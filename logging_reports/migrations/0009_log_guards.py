"""The triggers of this release: they also refuse to replace a log's head, and replace triggers of other content."""

from django.db import migrations

from logging_reports import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("logging_reports", "0008_plain_csv")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
