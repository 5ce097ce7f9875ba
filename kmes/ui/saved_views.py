"""Reads and stores saved views of tables: filter, sorting and columns under one name, private or shared.

A view is a bookmark. It shows no user more than the page it opens.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from kmes.core.errors import InputError
from kmes.ui.models import SavedView

MAX_VIEWS = 100
# Of one user, over all tables.
MAX_OWN_VIEWS = 50
MAX_ADDRESS = 2000
# Parameters that are no part of a view.
_TRANSIENT = frozenset({"page", "seen", "view"})


def list_views(user: Any, table: str) -> QuerySet[SavedView]:
    """Return the views of a table the user can use: their own, and those others share."""
    views = SavedView.objects.filter(Q(owner_id=user.pk) | Q(is_shared=True), table=table)
    return views.select_related("owner")[:MAX_VIEWS]


def find_view(user: Any, table: str, view_id: str) -> SavedView | None:
    """Return a view the user can use, or None; ``view_id`` may be any text."""
    if not (view_id.isdecimal() and len(view_id) < 10):
        return None
    views = SavedView.objects.filter(Q(owner_id=user.pk) | Q(is_shared=True), table=table)
    return views.filter(pk=int(view_id)).first()


def save_view(*, user: Any, table: str, name: str, address: str, layout: dict[str, Any], is_shared: bool) -> SavedView:
    """Save a view under a name; it replaces the user's view of the same name.

    Raises:
        InputError: the user has as many as one can have.

    """
    own = SavedView.objects.filter(owner_id=user.pk)
    if own.count() >= MAX_OWN_VIEWS and not own.filter(table=table, name__iexact=name).exists():
        raise InputError(
            _("There are %(count)s views of yours already.") % {"count": MAX_OWN_VIEWS},
            _("Delete one that is not used any more."),
            field="name",
        )
    path, _mark, query = address.partition("?")
    kept = urlencode([pair for pair in parse_qsl(query) if pair[0] not in _TRANSIENT])
    values = {
        "name": name,
        "address": (f"{path}?{kept}" if kept else path)[:MAX_ADDRESS],
        "layout": layout,
        "is_shared": is_shared,
    }
    view, _made = SavedView.objects.update_or_create(owner_id=user.pk, table=table, name__iexact=name, defaults=values)
    return view


def delete_view(*, user: Any, table: str, view_id: str) -> bool:
    """Delete one of the user's own views; return whether there was one."""
    view = find_view(user, table, view_id)
    if view is None or view.owner_id != user.pk:
        return False
    view.delete()
    return True
