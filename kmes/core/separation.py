"""Whether the processes of an installation have users of their own, as its last start recorded it.

The supervisor writes the record into the state folder, where every process can read it and only whoever starts the
console can write. Containers have none: there the containers separate. Knows no settings.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "separation.json"


@dataclass(frozen=True)
class SeparationRecord:
    """``reason``: why the processes share one user, as an English clause; empty where each has its own.

    ``is_warning``: the start was made as root, so that they could have users of their own.
    """

    reason: str
    is_warning: bool

    @property
    def is_separated(self) -> bool:
        """Whether each process has a user of its own."""
        return not self.reason


def read_record(state_dir: Path) -> SeparationRecord | None:
    """Return what the last start recorded; None where no supervisor started this installation."""
    try:
        content = json.loads((state_dir / FILE).read_bytes())
        return SeparationRecord(str(content["reason"]), bool(content["is_warning"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(state_dir: Path, record: SeparationRecord) -> None:
    """Write the record, readable for everybody who reaches the folder.

    Raises OSError when the folder can't be written.
    """
    aside = state_dir / f".{FILE}.tmp"
    aside.unlink(missing_ok=True)
    aside.write_text(json.dumps(asdict(record)))
    aside.chmod(0o644)
    aside.replace(state_dir / FILE)
