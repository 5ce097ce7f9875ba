"""Reads and stores users' choices for their pages: appearance, time zone, tables, the tree.

All choices of a user are read once, at sign-in, and stored in the session, so that no page queries them.
A change shows at once in its session, and in the user's other sessions after their next sign-in. Stored
values are checked when they are read: they may come from an older release or a changed table. Choices
change neither the console's state nor a right, so they are not logged.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kmes.ui.models import Preference

DISPLAY = "display"
SESSION_KEY = "kmes_choices"
TREE = "tree"
CSV = "csv"
COLOURS = {"system": _("Match system"), "light": _("Light"), "dark": _("Dark")}
DENSITIES = {"compact": _("Compact"), "normal": _("Normal"), "roomy": _("Roomy")}
DEFAULT_ZONE = "UTC"
# Excel takes a file without a byte order mark for one of an old code page (docs/log.md#csv).
EXCEL, PLAIN = "excel", "plain"
CSV_ENCODINGS = {EXCEL: _("For Excel"), PLAIN: _("Plain UTF-8")}


@cache
def known_zones() -> frozenset[str]:
    """Return the names of all time zones of this machine, always with UTC."""
    return frozenset({DEFAULT_ZONE, *zoneinfo.available_timezones()})


@dataclass(frozen=True)
class Display:
    """The appearance of pages for a user; the defaults hold until the user chooses."""

    colours: str = "system"
    density: str = "normal"
    time_zone: str = DEFAULT_ZONE
    shortcuts: bool = True

    @classmethod
    def read(cls, value: dict[str, Any]) -> Display:
        """Read a stored value; an unusable part becomes the default."""
        return cls(
            colours=_one_of(COLOURS, value.get("colours"), cls.colours),
            density=_one_of(DENSITIES, value.get("density"), cls.density),
            time_zone=_one_of(known_zones(), value.get("time_zone"), DEFAULT_ZONE),
            shortcuts=value.get("shortcuts") is not False,
        )

    def to_value(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return asdict(self)


def _one_of(known: Container[str], value: object, default: str) -> str:
    return value if isinstance(value, str) and value in known else default


class Choices:
    """All choices of one user; queries the database only if the session lacks them."""

    def __init__(self, user: Any, session: Any = None) -> None:
        self._user = user
        self._session = session
        self._rows: dict[str, Any] | None = None

    def get(self, name: str) -> dict[str, Any]:
        """Return the value stored under a name; an empty dict if there is none."""
        if self._rows is None:
            held = self._session.get(SESSION_KEY) if self._session is not None else None
            known = self._user is not None and self._user.is_authenticated
            self._rows = held if isinstance(held, dict) else rows_of(self._user) if known else {}
        value = self._rows.get(name)
        return value if isinstance(value, dict) else {}

    @cached_property
    def display(self) -> Display:
        """Return the appearance of pages for the user."""
        return Display.read(self.get(DISPLAY))

    @property
    def closed_sections(self) -> set[str]:
        """Return the names of the tree's sections that the user folded."""
        closed = self.get(TREE).get("closed")
        return {each for each in closed if isinstance(each, str)} if isinstance(closed, list) else set()

    @property
    def csv_encoding(self) -> str:
        """Return how the user's CSV files begin: one of ``CSV_ENCODINGS``."""
        return _one_of(CSV_ENCODINGS, self.get(CSV).get("encoding"), EXCEL)

    def save(self, name: str, value: dict[str, Any]) -> None:
        """Store a choice; it replaces the former value of that name."""
        Preference.objects.update_or_create(user_id=self._user.pk, name=name, defaults={"value": value})
        self._reload()

    def reset(self, name: str) -> None:
        """Go back to the default."""
        Preference.objects.filter(user_id=self._user.pk, name=name).delete()
        self._reload()

    def _reload(self) -> None:
        self._rows = rows_of(self._user)
        self.__dict__.pop("display", None)
        if self._session is not None:
            self._session[SESSION_KEY] = self._rows


def choices_of(request: HttpRequest) -> Choices:
    """Return the choices of the request's user, the same object throughout the request."""
    known = request.__dict__.get("_kmes_choices")
    if not isinstance(known, Choices):
        known = request.__dict__["_kmes_choices"] = Choices(
            getattr(request, "user", None), getattr(request, "session", None)
        )
    return known


def rows_of(user: Any) -> dict[str, Any]:
    """Return what the user chose, by name, as the database holds it."""
    return dict(Preference.objects.filter(user_id=user.pk).values_list("name", "value"))


def connect() -> None:
    """Copy a user's choices into each new session; safe to call again."""
    user_logged_in.connect(_copy_to_session, dispatch_uid="kmes.ui.choices")


def _copy_to_session(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    if request is not None and hasattr(request, "session"):
        request.session[SESSION_KEY] = rows_of(user)


# --- The reader's time zone --------------------------------------------------------------------
# Only the titles of relative times use it. Django's current zone stays UTC, because logs, jobs and
# exports show UTC to all users.
_reader: ContextVar[Choices | None] = ContextVar("kmes_reader", default=None)


@contextmanager
def rendering_for(request: HttpRequest) -> Iterator[None]:
    """Render the body's templates for the request's user."""
    token = _reader.set(choices_of(request))
    try:
        yield
    finally:
        _reader.reset(token)


def reader_time_zone() -> zoneinfo.ZoneInfo | None:
    """Return the time zone of the user whose page is being rendered; None for UTC."""
    reader = _reader.get()
    name = reader.display.time_zone if reader else DEFAULT_ZONE
    return None if name == DEFAULT_ZONE else zoneinfo.ZoneInfo(name)
