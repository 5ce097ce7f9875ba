"""Indexes for events, for names in any case and, on PostgreSQL, for any text."""

from django.db import DatabaseError, migrations, models, transaction
from django.db.models.functions import Upper

SEARCHED = ("message", "event", "credential", "vault", "group", "key", "version", "job_code", "azure_request_id")


def make_trigram_index(apps, schema_editor):
    """Index the searched text by trigrams, where PostgreSQL lets us have the extension.

    Without it the search works and takes longer; an administrator may create the extension and this
    index later (docs/log.md).
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    joined = " || chr(10) || ".join(f'"{name}"' for name in SEARCHED)
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:
        return
    schema_editor.execute(
        f"CREATE INDEX log_entry_searched ON logging_reports_logentry USING gin (UPPER(({joined})) gin_trgm_ops)"
    )


def drop_trigram_index(apps, schema_editor):
    schema_editor.execute("DROP INDEX IF EXISTS log_entry_searched")


class Migration(migrations.Migration):
    dependencies = [("logging_reports", "0005_background_exports")]

    operations = [
        migrations.RemoveIndex(
            model_name="logentry",
            name="log_entry_actor",
        ),
        migrations.AddIndex(
            model_name="logentry",
            index=models.Index(
                models.F("service"),
                Upper("actor_name"),
                models.F("sequence"),
                name="log_entry_actor_any_case",
            ),
        ),
        migrations.AddIndex(
            model_name="logentry",
            index=models.Index(
                models.F("service"),
                Upper("key"),
                models.F("sequence"),
                name="log_entry_key_any_case",
            ),
        ),
        migrations.AddIndex(
            model_name="logentry",
            index=models.Index(
                models.F("service"),
                Upper("group"),
                models.F("sequence"),
                name="log_entry_group_any_case",
            ),
        ),
        migrations.AddIndex(
            model_name="logentry",
            index=models.Index(fields=["service", "event", "sequence"], name="log_entry_event"),
        ),
        migrations.RunPython(make_trigram_index, drop_trigram_index),
    ]
