"""The database's own refusal to change the log (SQLite and PostgreSQL)."""

from django.db import migrations

from logging_reports import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


def remove(apps, schema_editor):
    triggers.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("logging_reports", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
