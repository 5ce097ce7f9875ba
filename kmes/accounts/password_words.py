"""Words that someone who knows this console tries first: a password may contain them, but must not rest on them.

The list and its reason stand in docs/access.md.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

WORDS = (
    *("password", "passphrase", "secret", "welcome", "changeme", "letmein"),
    *("kmes", "futurex", "console", "byok", "keyvault", "vault", "azure", "microsoft", "entra", "hsm", "softhsm"),
    *("admin", "administrator", "custodian", "operator", "auditor", "security"),
    *("keys", "key"),
    *("spring", "summer", "autumn", "winter", "monday", "january", "december"),
)
# Longest first, so that "administrator" leaves nothing behind.
_WORDS = re.compile("|".join(sorted(map(re.escape, WORDS), key=len, reverse=True)), re.IGNORECASE)
_YEARS_AND_MARKS = re.compile(r"(?:19|20)\d\d|[\W_]")
OWN_CHARACTERS = 8


class ContextWordValidator:
    """Refuses a password of which too little is left without such words, years, spaces and marks."""

    def validate(self, password: str, user: Any = None) -> None:  # noqa: ARG002 - Django's signature
        """Raise ValidationError for such a password."""
        rest = _YEARS_AND_MARKS.sub("", _WORDS.sub("", password))
        if len(rest) < OWN_CHARACTERS:
            raise ValidationError(
                _("Without the words that belong to this console, years and marks, the password is too short."),
                code="password_context_words",
            )

    def get_help_text(self) -> str:
        """Return what the page says before anything is typed."""
        return _("Words such as the console's name, a role or a year do not count toward its length.")
