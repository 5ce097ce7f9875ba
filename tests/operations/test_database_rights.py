"""The table of rights names every column, and agrees with the columns that the processes leave out of their queries."""

from __future__ import annotations

import pytest
from django.apps import apps

from kmes.core.withheld import OWNER, WithheldBinaryField, WithheldCharField
from kmes.operations.database_rights import PROCESSES, TABLES
from logging_reports.models import LogEntry

MODELS = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
# Written by Django's migrations, without a model.
UNMODELLED = {"django_migrations"}


def columns_of(model):
    return {field.column: field for field in model._meta.local_concrete_fields}


def test_every_table_is_named_and_no_other():
    assert TABLES.keys() - UNMODELLED == MODELS.keys()


@pytest.mark.parametrize("table", sorted(MODELS))
def test_every_column_is_named_and_no_other(table):
    assert sorted(TABLES[table].columns) == sorted(columns_of(MODELS[table]))


@pytest.mark.parametrize("table", sorted(MODELS))
def test_what_a_process_may_not_read_of_a_row_is_left_out_of_its_queries(table):
    for process in PROCESSES:
        rights = TABLES[table].processes.get(process)
        if rights is None:
            continue
        for column, field in columns_of(MODELS[table]).items():
            is_withheld = isinstance(field, WithheldBinaryField | WithheldCharField) and process not in (
                OWNER,
                *field.readable_by,
            )
            assert (column not in rights.read) == is_withheld, f"{process}: {table}.{column}"


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_process_that_writes_rows_writes_whole_ones_and_reads_what_it_writes_by(table):
    for process, rights in TABLES[table].processes.items():
        columns = TABLES[table].columns
        # The database alone numbers the rows of the log.
        whole = columns[1:] if table == LogEntry._meta.db_table else columns
        assert rights.insert in ((), whole), process
        assert rights.read, process
