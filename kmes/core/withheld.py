"""Columns that only some processes read: stored secrets, wrapped keys, marks, passwords.

On PostgreSQL the role of each other process has no right to read them (``kmes.operations.database_rights``). Django
selects every column of a model, also through relations; in those processes such a column is left out of each query
instead, on every database. Its value is deferred: reading it is an error, and saving the row leaves it alone.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import DEFERRED
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext as _

from kmes.core.errors import PermissionRefused

# Commands of an operator act as the owner of the tables.
OWNER = "manage"


class WithheldAttribute(DeferredAttribute):
    """The value on a row; refuses to be loaded where the process may not read it."""

    def __get__(self, instance: Any, cls: type[Any] | None = None) -> Any:
        """Return the value.

        Raises:
            PermissionRefused: this process may not read it.

        """
        field: Any = self.field
        if instance is not None and field.attname not in instance.__dict__ and field.is_withheld():
            raise PermissionRefused(
                _("The process “%(process)s” may not read the column “%(column)s”.")
                % {"process": settings.KMES_PROCESS, "column": str(field)}
            )
        return super().__get__(instance, cls)


class _Withheld:
    """What both kinds of withheld columns share; comes before the kind of field."""

    descriptor_class = WithheldAttribute

    def __init__(self, *arguments: Any, readable_by: tuple[str, ...] = (), **options: Any) -> None:
        self.readable_by = readable_by
        super().__init__(*arguments, **options)

    def is_withheld(self) -> bool:
        """Return whether this process may not read the column."""
        return settings.KMES_PROCESS not in (OWNER, *self.readable_by)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """Return the field as migrations know it: who reads a column changes nothing in the table."""
        name, _path, arguments, options = super().deconstruct()  # type: ignore[misc]
        kind = next(one for one in type(self).__mro__ if one.__module__.startswith("django."))
        return name, f"django.db.models.{kind.__name__}", arguments, options

    def clone(self) -> Any:
        """Return an unbound copy."""
        copy = super().clone()  # type: ignore[misc]
        copy.readable_by = self.readable_by
        return copy

    def select_format(self, _compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Return what a query selects: nothing in place of a column that is withheld."""
        return ("NULL", ()) if self.is_withheld() else (sql, params)

    def from_db_value(self, value: Any, *_arguments: Any) -> Any:
        """Return the value, or Django's word for one that was not loaded."""
        return DEFERRED if self.is_withheld() else value


class WithheldBinaryField(_Withheld, models.BinaryField):  # type: ignore[misc,type-arg]
    """Bytes that only some processes read."""


class WithheldCharField(_Withheld, models.CharField):  # type: ignore[misc,type-arg]
    """A text that only some processes read."""
