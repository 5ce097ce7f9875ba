"""What ``manage.py check --deploy`` says about this installation beyond Django's own checks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.utils.translation import gettext as _

from kmes.core.separation import read_record


def check_separation(**_kwargs: Any) -> list[CheckMessage]:
    """Warn when the processes of the last start shared one user."""
    record = read_record(settings.KMES_STATE_DIR)
    if record is None or record.is_separated:
        return []
    return [
        CheckWarning(
            _(
                "All processes of this installation share one user, because %(reason)s: "
                "whoever takes over one of them can read the PIN and the files of the others."
            )
            % {"reason": record.reason},
            hint=_("Start it as root, so that each gets a user of its own, or in containers (docs/threat-model.md)."),
            id="kmes.W001",
        )
    ]
