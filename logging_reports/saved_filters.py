"""Saves and deletes filters of System Logs; each change writes its log row."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from kmes.core import clock
from kmes.core.actor import Actor
from kmes.core.errors import InputError, PermissionRefused
from logging_reports.models import SavedFilter
from logging_reports.services import record

MAX_PER_OWNER = 100


def save_filter(*, name: str, query: str, is_shared: bool, actor: Actor) -> SavedFilter:
    """Save a filter under a name.

    Raises:
        InputError: the owner has a filter of this name, or too many filters.

    """
    if actor.user_id is None:
        raise PermissionRefused(_("Only a signed-in user can save a filter."))
    if SavedFilter.objects.filter(owner_id=actor.user_id).count() >= MAX_PER_OWNER:
        raise InputError(
            _("You have %(count)s saved filters already.") % {"count": MAX_PER_OWNER},
            _("Delete one you no longer need."),
            field="name",
        )
    try:
        with transaction.atomic():
            saved = SavedFilter.objects.create(
                name=name,
                query=query,
                is_shared=is_shared,
                owner_id=actor.user_id,
                owner_name=actor.name,
                created_at=clock.now(),
            )
            _log("log.filter_saved", saved, actor)
    except IntegrityError as error:
        raise InputError(
            _("You have a filter of this name already."), _("Choose another name."), field="name"
        ) from error
    return saved


def delete_filter(saved: SavedFilter, *, actor: Actor, may_delete_any: bool) -> None:
    """Delete a filter of the actor, or a shared one where ``may_delete_any`` is set.

    Raises:
        PermissionRefused: the filter belongs to another user.

    """
    if saved.owner_id != actor.user_id and not (saved.is_shared and may_delete_any):
        raise PermissionRefused(
            _("This filter belongs to %(name)s.") % {"name": saved.owner_name},
            _("Its owner or an administrator can delete it."),
        )
    with transaction.atomic():
        _log("log.filter_deleted", saved, actor)
        saved.delete()


def _log(event: str, saved: SavedFilter, actor: Actor) -> None:
    done = "saved" if event == "log.filter_saved" else "deleted"
    data = {"name": saved.name, "filter": saved.query, "shared": saved.is_shared, "owner": saved.owner_name}
    record(event, actor=actor, message=f"Log filter “{saved.name}” {done}", data=data)
