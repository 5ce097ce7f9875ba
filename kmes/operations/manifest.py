"""The manifest of a backup: release, migrations, devices, the logs' last rows, and the hash of each part.

Knows neither how parts are made nor how they are restored.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from kmes.core.errors import KmesError

FORMAT = 1
NAME = "manifest.json"


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
            if content["format"] != FORMAT:
                raise BackupError(
                    _("The backup has format %(format)s; this release reads format %(known)s.")
                    % {"format": content["format"], "known": FORMAT},
                    _("Restore it with the release that made it, or a later one."),
                )
            facts = content.pop("facts")
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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError(_("The file is not a backup of this console: its manifest can't be read.")) from error
