"""Several keys at once: those whose boxes are checked, or all that a filter finds.

Forms carry the filter instead of the keys it finds, so that ten thousand keys need no list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict

from keygroups.filters import KeysFilter, count_of, read_uuid
from keygroups.models import Key


@dataclass(frozen=True)
class KeySelection:
    """What was selected on the Keys view: the picked keys, or all that ``wanted`` finds."""

    picked: tuple[UUID, ...] = ()
    wanted: KeysFilter | None = None

    @classmethod
    def read(cls, data: QueryDict) -> KeySelection | None:
        """Return the selection a form sent, or None when none was asked for."""
        if not data.get("selection"):
            return None
        if data.get("all"):
            return cls(wanted=KeysFilter.read(QueryDict(data.get("filter", ""))))
        found = (read_uuid(text) for text in data.getlist("key"))
        return cls(picked=tuple(dict.fromkeys(each for each in found if each is not None)))

    @property
    def count(self) -> int:
        """Return how many keys there are."""
        return count_of(self.keys())

    def keys(self) -> QuerySet[Key]:
        """Return the keys, oldest first, with group and vault."""
        if self.wanted is not None:
            found: QuerySet[Key] = self.wanted.keys().prefetch_related(None)
        else:
            found = Key.objects.filter(pk__in=self.picked).defer("wrapped_private", "public_spki")
        return found.select_related("group__vault", "group__credential").order_by("created_at", "name")

    def fields(self) -> list[tuple[str, str]]:
        """Return the selection as form fields for the next page."""
        if self.wanted is not None:
            return [("selection", "1"), ("all", "1"), ("filter", self.wanted.query())]
        return [("selection", "1"), *(("key", str(each)) for each in self.picked)]


def digest_of_keys(keys: Iterable[Key]) -> str:
    """Return a short text that changes when other keys are in the selection."""
    listed = "".join(sorted(key.pk.hex for key in keys))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]
