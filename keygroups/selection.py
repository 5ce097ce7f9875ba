"""Several keys or key groups at once: those whose boxes are checked, or all that a filter finds.

Forms carry the filter instead of what it finds, so that ten thousand keys need no list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _

from keygroups.due_days import Days
from keygroups.filters import KeysFilter, count_of, read_uuid
from keygroups.models import Key, KeyGroup
from keygroups.selectors import list_groups
from kmes.core.errors import ConflictError, InputError

# So many key groups one action takes: a job names each of them in its request, which is signed.
MAX_GROUPS = 1000
# So many keys are looked at for the menu of a selection.
LOOKED_AT = 500


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

    @cached_property
    def count(self) -> int:
        """How many keys there are."""
        return count_of(self.keys())

    @cached_property
    def looked_at(self) -> list[Key]:
        """The keys that a menu looks at, read once for all of its entries; none of a selection of more."""
        keys = list(self.keys()[: LOOKED_AT + 1])
        return keys if len(keys) <= LOOKED_AT else []

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


def no_group() -> InputError:
    """Return the refusal of a selection without groups."""
    return InputError(_("No key group is selected."), _("Tick the boxes of the groups, or choose all that match."))


def too_many(count: int) -> InputError:
    """Return the refusal of more groups than one action takes."""
    return InputError(
        _("%(count)s key groups are selected; one action takes %(most)s.")
        % {"count": f"{count:,}", "most": f"{MAX_GROUPS:,}"},
        _("Search or filter for fewer, and do it in several parts."),
    )


@dataclass(frozen=True)
class GroupSelection:
    """What was selected: the picked groups, all that ``wanted`` finds, all due on some days, or those of selected keys."""

    picked: tuple[UUID, ...] = ()
    wanted: KeysFilter | None = None
    keys: KeySelection | None = None
    days: Days | None = None

    @classmethod
    def read(cls, data: QueryDict) -> GroupSelection | None:
        """Return the selection a form sent, or None when none was asked for. One of keys selects their groups."""
        keys = KeySelection.read(data)
        if keys is not None:
            return cls(keys=keys)
        if not data.get("group_selection"):
            return None
        if data.get("all"):
            query = QueryDict(data.get("filter", ""))
            days = Days.read(query)
            return cls(days=days) if days else cls(wanted=KeysFilter.read(query))
        found = (read_uuid(text) for text in data.getlist("picked"))
        return cls(picked=tuple(dict.fromkeys(each for each in found if each is not None)))

    def read_groups(self, *, seen: str) -> list[KeyGroup]:
        """Return the groups of a form whose page showed those of the digest ``seen``; "" for a first look.

        Raises:
            InputError: none is selected, or more than ``MAX_GROUPS``.
            ConflictError: other groups match than those that were shown.

        """
        if (count := self.count) > MAX_GROUPS:
            raise too_many(count)
        groups = list(self.groups())
        if not groups:
            raise no_group()
        if seen and seen != digest_of_groups(groups):
            raise ConflictError(
                _("The matching key groups have changed since they were shown. Nothing was done."),
                _("Go back to the keys and select them again."),
            )
        return groups

    @property
    def count(self) -> int:
        """Return how many groups there are."""
        return self.groups().order_by().count()

    def groups(self) -> QuerySet[KeyGroup]:
        """Return the groups by name, with vault and credential."""
        if self.wanted is not None:
            wanted = self.wanted
            found = list_groups(search=wanted.q, show=wanted.show, vault_id=wanted.vault, state=wanted.state)
        elif self.days is not None:
            found = self.days.groups()
        elif self.keys is not None:
            found = KeyGroup.objects.filter(pk__in=self.keys.keys().order_by().values("group"))
        else:
            found = KeyGroup.objects.filter(pk__in=self.picked)
        return found.select_related("vault", "credential").defer("credential__sealed_secret").order_by("name")

    def fields(self) -> list[tuple[str, str]]:
        """Return the selection as form fields for the next page."""
        if self.keys is not None:
            return self.keys.fields()
        if self.days is not None:
            return [("group_selection", "1"), ("all", "1"), ("filter", self.days.query())]
        if self.wanted is not None:
            query = self.wanted.query(group="")
            return [("group_selection", "1"), ("all", "1"), ("filter", query)]
        return [("group_selection", "1"), *(("picked", str(each)) for each in self.picked)]


def digest_of_keys(keys: Iterable[Key]) -> str:
    """Return a short text that changes when other keys are in the selection."""
    return _digest(key.pk for key in keys)


def digest_of_groups(groups: Iterable[KeyGroup]) -> str:
    """Return a short text that changes when other key groups are in the selection."""
    return _digest(group.pk for group in groups)


def _digest(ids: Iterable[UUID]) -> str:
    return hashlib.sha256("".join(sorted(each.hex for each in ids)).encode()).hexdigest()[:16]
