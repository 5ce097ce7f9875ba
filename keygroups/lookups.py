"""Rows that the address of a page names. A row that does not exist answers 404."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404
from django.utils.translation import gettext as _

from keygroups.models import Key, KeyGroup
from keygroups.selectors import find_group, find_key


def group_or_404(group_id: UUID | None) -> KeyGroup:
    """Return a group as ``list_groups`` does. None, from an address that names no group, is not found either."""
    group = find_group(group_id) if group_id else None
    if group is None:
        raise Http404(_("There is no such key group."))
    return group


def key_or_404(key_id: UUID) -> Key:
    """Return a key with its group and vault."""
    key = find_key(key_id)
    if key is None:
        raise Http404(_("There is no such key."))
    return key
