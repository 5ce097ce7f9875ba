"""Lets SQLite refuse what PostgreSQL refuses: texts longer than their column, NUL, integers that don't fit.

SQLite keeps all of them, so a value that nobody fitted would be found on PostgreSQL only, or when a backup moves there.
For tests and the fuzzer; the product relies on no database's refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db import DataError, models

# Django's names of integer columns, and the largest value of each in PostgreSQL
# (PostgreSQL manual, section 8.1).
_LARGEST = {
    "SmallIntegerField": 2**15 - 1,
    "PositiveSmallIntegerField": 2**15 - 1,
    "IntegerField": 2**31 - 1,
    "PositiveIntegerField": 2**31 - 1,
    "BigIntegerField": 2**63 - 1,
    "PositiveBigIntegerField": 2**63 - 1,
}


def install() -> None:
    """Check each value on its way to the database; safe to call again."""
    if getattr(models.Field, "is_strict", False):
        return
    models.Field.is_strict = True  # type: ignore[attr-defined]
    for kind in (models.Field, models.JSONField):
        _wrap(kind, "get_db_prep_save", _check_saved)
    # Also of what a query looks for.
    _wrap(models.Field, "get_db_prep_value", _check_text)
    _wrap(models.Lookup, "get_db_prep_lookup", _check_searched)


def _wrap(kind: type[Any], name: str, check: Callable[[Any, Any], None]) -> None:
    original = getattr(kind, name)

    def checked(self: Any, value: Any, *given: Any, **named: Any) -> Any:
        check(self, value)
        return original(self, value, *given, **named)

    setattr(kind, name, checked)


def _check_saved(field: Any, value: Any) -> None:
    if value is None or hasattr(value, "as_sql"):
        return
    if isinstance(field, models.JSONField):
        # jsonb has no NUL (PostgreSQL manual, section 8.14).
        if "\\u0000" in json.dumps(value, cls=field.encoder).replace("\\\\", ""):
            raise DataError(f"{field}: a JSON value with a NUL character")
    elif isinstance(field, models.CharField) and len(str(value)) > (field.max_length or 2**30):
        raise DataError(f"{field}: value too long for type character varying({field.max_length})")
    elif (largest := _LARGEST.get(field.get_internal_type())) and not -largest - 1 <= int(value) <= largest:
        raise DataError(f"{field}: integer out of range")


def _check_searched(lookup: Any, value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        raise DataError(f"{lookup.lookup_name}: PostgreSQL text fields cannot contain NUL (0x00) bytes")


def _check_text(field: Any, value: Any) -> None:
    if isinstance(value, str) and "\0" in value and isinstance(field, models.CharField | models.TextField):
        raise DataError(f"{field}: PostgreSQL text fields cannot contain NUL (0x00) bytes")
