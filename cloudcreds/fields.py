"""What the name of a credential accepts. The fields of each cloud service stand with its provider."""

from __future__ import annotations

from django.utils.translation import gettext as _

from kmes.core.errors import InputError
from kmes.core.typed_text import find_unreadable, trim_label

MAX_NAME = 128


def clean_name(text: str) -> str:
    """Return the credential's name without blanks at its ends.

    Raises:
        InputError: empty, too long, or holds a character that can't be read in a log.

    """
    name = trim_label(text)
    if not name:
        raise InputError(_("The credential needs a name."), _("Type any name, such as “production”."), field="name")
    if len(name) > MAX_NAME:
        raise InputError(
            _("The name has %(count)d characters; at most %(limit)d fit.") % {"count": len(name), "limit": MAX_NAME},
            field="name",
        )
    if character := find_unreadable(name):
        raise InputError(
            _("The name contains a symbol or an invisible character (U+%(code)04X).") % {"code": ord(character)},
            _("Use letters, digits, spaces and punctuation."),
            field="name",
        )
    return name
