"""The manifest of a backup: release, migrations, devices, the logs' last rows, and the hash of each part.

Knows neither how parts are made nor how they are restored.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from kmes.core.errors import KmesError

# Format 2 may be followed by a signature (``backup_signature``); format 1 is that of earlier releases.
FORMAT = 2
READABLE_FORMATS = frozenset({1, FORMAT})
NAME = "manifest.json"
HIGHEST_PARTS = 20_000
# Tables that a backup leaves out, so that nobody is signed in after a restore; what refers to a session comes first. A
# database that was upgraded, or is not yet upgraded, has the last one with the sessions of earlier releases.
SESSIONS = ("accounts_secondsignin", "accounts_consolesession", "django_session")
# Parts that a backup may have, and the number of folders below each; an export's name is free.
_PLACES = {"database.sqlite3": 1, "tables": 2, "secret_key": 1, "token": 5, "exports": 2}
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Facts are printed on the operator's terminal.
_TEXT = re.compile(r"[ -~\u00a0-\u024f]{0,128}")


class BackupError(KmesError):
    """A backup that can't be made, or can't be restored here."""

    code = "backup"


@dataclass(frozen=True)
class DeviceFacts:
    """A registered device; its check values show the restore whether it opens the keys."""

    serial: str
    label: str
    pmk_check_value: str
    mfk_check_value: str
    is_designated: bool

    def __str__(self) -> str:
        return f"{self.label} ({self.serial}), PMK {self.pmk_check_value}, MFK {self.mfk_check_value}"


@dataclass(frozen=True)
class Part:
    """One file of the archive; ``size`` in bytes, ``sha256`` in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Facts:
    """What was read from the database in the same snapshot as its rows."""

    migrations: tuple[tuple[str, str], ...]
    log_heads: dict[str, tuple[int, str]]
    devices: tuple[DeviceFacts, ...]


@dataclass(frozen=True)
class Manifest:
    """The first file of the archive."""

    made_at: str
    version: str
    vendor: str
    has_token: bool
    facts: Facts
    parts: tuple[Part, ...]
    # PostgreSQL only: the columns of each table, in the order of its file.
    tables: dict[str, list[str]] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def device(self) -> DeviceFacts | None:
        """Return the device that was designated."""
        return next((device for device in self.facts.devices if device.is_designated), None)

    def to_json(self) -> bytes:
        """Return the bytes that ``from_json`` reads."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BackupError: the text is not a manifest, or of a format this release does not know.

        """
        try:
            content: dict[str, Any] = json.loads(text)
            if content["format"] not in READABLE_FORMATS:
                raise BackupError(
                    _("The backup has format %(format)s; this release reads formats up to %(known)s.")
                    % {"format": content["format"], "known": FORMAT},
                    _("Restore it with the release that made it, or a later one."),
                )
            facts = content.pop("facts")
            _check_shape(content, facts)
            return cls(
                **{
                    **content,
                    "facts": Facts(
                        migrations=tuple((app, name) for app, name in facts["migrations"]),
                        log_heads={name: (head[0], head[1]) for name, head in facts["log_heads"].items()},
                        devices=tuple(DeviceFacts(**device) for device in facts["devices"]),
                    ),
                    "parts": tuple(Part(**part) for part in content["parts"]),
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BackupError(_("The file is not a backup of this console: its manifest can't be read.")) from error


def _check_shape(content: dict[str, Any], facts: dict[str, Any]) -> None:
    """Check types, names and sizes of a manifest: what a backup says of itself is input like any other.

    Raises:
        ValueError: something is not as this console writes it.

    """
    texts = [content["made_at"], content["version"], content["vendor"], *content["tables"]]
    texts += [column for columns in content["tables"].values() for column in columns]
    texts += [text for pair in facts["migrations"] for text in pair]
    texts += [text for device in facts["devices"] for name, text in device.items() if name != "is_designated"]
    if not all(isinstance(text, str) and _TEXT.fullmatch(text) for text in texts):
        raise ValueError("a text is not one")
    for sequence, digest in facts["log_heads"].values():
        if not _is_count(sequence) or not _SHA256.fullmatch(digest):
            raise ValueError("a log's end is not one")
    parts = content["parts"]
    if len(parts) > HIGHEST_PARTS or len({part["name"] for part in parts}) != len(parts):
        raise ValueError("too many parts, or one twice")
    for part in parts:
        if not _is_count(part["size"]) or not _SHA256.fullmatch(part["sha256"]) or not _is_place(part["name"]):
            raise ValueError("a part is not one")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_place(name: str) -> bool:
    """Return whether a part stands where this console puts parts."""
    segments = name.split("/")
    deepest = _PLACES.get(segments[0], 0)
    return len(segments) <= deepest and all(map(_SEGMENT.fullmatch, segments))
