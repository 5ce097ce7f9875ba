"""Marks the key groups of a selection on which the viewer may not act, for the plans of acts on several of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model

from keygroups.models import KeyGroup
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.right_names import outside_of_scope


def mark_outside(groups: Iterable[KeyGroup], *, user: Any, right: Right) -> None:
    """Note on each group whether the user has the right on it."""
    for group in groups:
        group.__dict__["outside"] = "" if user.may(right, group) else outside_of_scope(right)


def why_outside(group: KeyGroup) -> str:
    """Return why the viewer may not act on a group, "" where they may or it was not asked; without a full stop."""
    return str(group.__dict__.get("outside", ""))


def find_outside(actor: Actor, right: Right, groups: Iterable[KeyGroup]) -> dict[UUID, str]:
    """Return the groups on which an actor lacks a right that they have for others, with the reason; reads the database."""
    user = get_user_model().objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    if user is None:
        return {}
    return {group.pk: outside_of_scope(right) for group in groups if not user.may(right, group)}
