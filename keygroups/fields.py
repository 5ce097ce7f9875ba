"""What each field of a key group accepts, and what to type instead. Reads no rows and no network.

The form and the services both call it, so that forms and other callers obey the same rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from django.utils.translation import gettext as _

from hsm.types import KeySpec
from keygroups.choices import KeyType, KeyUsage, PeriodUnit
from kmes.core.errors import InputError
from kmes.core.typed_text import find_unreadable, is_unreadable, trim, trim_label

MAX_NAME = 128
MAX_KEY_NAME = 160
MAX_OWNER = 128
MAX_NOTES = 4000
MAX_AZURE_NAME = 127
# Ten years in each unit: enough for any policy, and far from the last year of the calendar.
MAX_PERIOD = {PeriodUnit.DAYS: 3650, PeriodUnit.WEEKS: 520, PeriodUnit.MONTHS: 120}
# Azure takes 15 tags of 256 characters (docs/azure.md#keys-api); four of them are the console's own.
MAX_TAGS = 11
MAX_TAG = 256
RESERVED_TAG_PREFIX = "kmes-"
# Short-lived keys of the console: KEKs, which the sweep deletes, and keys of connection tests.
RESERVED_KEY_PREFIXES = ("kmes-kek-", "kmes-probe")

_AZURE_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


def clean_name(text: str) -> str:
    """Return the group's name, trimmed and normalized.

    Raises:
        InputError: empty, too long, or holds an unreadable character.

    """
    name = trim_label(text)
    if not name:
        raise InputError(_("The key group needs a name."), _("Type any name, such as “tde-prod”."), field="name")
    if len(name) > MAX_NAME:
        raise InputError(
            _("The name has %(count)d characters; at most %(limit)d fit.") % {"count": len(name), "limit": MAX_NAME},
            field="name",
        )
    _refuse_unreadable(name, field="name")
    return name


def clean_key_name(text: str) -> str:
    """Return the name of a key without white space at its ends.

    Raises:
        InputError: empty, too long, or not printable.

    """
    name = text.strip()
    if not name:
        raise InputError(_("The key needs a name."), _("Type any name."), field="name")
    if len(name) > MAX_KEY_NAME or not name.isprintable():
        raise InputError(
            _("A key name has at most %(max)d characters, all printable.") % {"max": MAX_KEY_NAME},
            _("Shorten the name or remove line breaks."),
            field="name",
        )
    return name


def clean_owner(text: str) -> str:
    """Return the owner, trimmed and normalized.

    Raises:
        InputError: too long, or holds an unreadable character.

    """
    owner = trim_label(text)
    if len(owner) > MAX_OWNER:
        raise InputError(
            _("The owner has %(count)d characters; at most %(limit)d fit.") % {"count": len(owner), "limit": MAX_OWNER},
            field="owner",
        )
    _refuse_unreadable(owner, field="owner")
    return owner


def clean_notes(text: str) -> str:
    """Return the notes, trimmed. Line breaks stay.

    Raises:
        InputError: too long, or holds a NUL character, which the database can't keep.

    """
    notes = trim(text.replace("\r\n", "\n"))
    if len(notes) > MAX_NOTES:
        raise InputError(
            _("The notes have %(count)d characters; at most %(limit)d fit.")
            % {"count": len(notes), "limit": MAX_NOTES},
            field="notes",
        )
    if "\x00" in notes:
        raise InputError(_("The notes hold a NUL character."), _("Type them again as plain text."), field="notes")
    return notes


def clean_azure_name(text: str) -> str:
    """Return the name of the key in the vault: ``^[0-9a-zA-Z-]{1,127}$`` (docs/azure.md#keys-api).

    Raises:
        InputError: empty, too long, another character, or a name that is reserved for the console.

    """
    name = trim(text)
    if not name:
        raise InputError(
            _("The Azure key name is missing, and the name has no letter or digit that Azure accepts."),
            _("Type an Azure key name: 1 to 127 of the letters a to z, A to Z, digits and hyphens."),
            field="azure_name",
        )
    if len(name) > MAX_AZURE_NAME:
        raise InputError(
            _("The Azure key name has %(count)d characters; Azure takes at most %(limit)d.")
            % {"count": len(name), "limit": MAX_AZURE_NAME},
            field="azure_name",
        )
    if not _AZURE_NAME.fullmatch(name):
        wrong = next(character for character in name if not _AZURE_NAME.fullmatch(character))
        raise InputError(
            _("An Azure key name can't hold “%(wrong)s”.") % {"wrong": _visible(wrong)},
            _("Use the letters a to z, A to Z, digits and hyphens only."),
            field="azure_name",
        )
    if name.lower().startswith(RESERVED_KEY_PREFIXES):
        raise InputError(
            _("Names that begin with “%(prefix)s” are kept for the console's short-lived keys.")
            % {"prefix": "kmes-kek-" if name.lower().startswith("kmes-kek-") else "kmes-probe"},
            _("Choose another Azure key name."),
            field="azure_name",
        )
    return name


def suggest_azure_name(name: str) -> str:
    """Return the Azure key name that follows a group's name; "" if no character of it can be kept."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^0-9a-zA-Z]+", "-", plain).strip("-")[:MAX_AZURE_NAME].rstrip("-")


def type_of(spec: str) -> KeyType:
    """Return the console's key type of a key length."""
    return KeyType.RSA if KeySpec(spec).is_rsa else KeyType.ECC


def usages_of(key_type: str) -> tuple[KeyUsage, ...]:
    """Return what keys of a type may be used for. The vault refuses an EC key for anything but signing."""
    return tuple(KeyUsage) if key_type == KeyType.RSA else (KeyUsage.SIGN,)


def clean_spec(spec: str) -> str:
    """Return a key length that the console offers.

    Raises:
        InputError: there is no such length.

    """
    if spec not in set(KeySpec):
        raise InputError(_("There is no such key length."), _("Choose one from the list."), field="key_spec")
    return spec


def clean_usage(usage: Iterable[str], *, spec: str) -> tuple[str, ...]:
    """Return the usages in the console's order, each once.

    Raises:
        InputError: none, an unknown one, or one that keys of this type can't have.

    """
    wanted = set(usage)
    if not wanted:
        raise InputError(_("Choose at least one use."), _("Sign and verify suits every key type."), field="usage")
    if wanted - set(KeyUsage.values):
        raise InputError(_("There is no such key usage."), _("Choose from the list."), field="usage")
    refused = [KeyUsage(use) for use in KeyUsage.values if use in wanted and use not in usages_of(type_of(spec))]
    if refused:
        raise InputError(
            _("An ECC key can only sign and verify; the vault refuses: %(uses)s.")
            % {"uses": ", ".join(str(use.label).lower() for use in refused)},
            _("Leave only “Sign and verify”, or choose an RSA key."),
            field="usage",
        )
    return tuple(use for use in KeyUsage.values if use in wanted)


def clean_period(count: int, unit: str, *, field: str) -> int:
    """Return the number of units of a period.

    Raises:
        InputError: unknown unit, less than one, or longer than ten years.

    """
    if unit not in PeriodUnit.values:
        raise InputError(_("There is no such unit."), _("Choose days, weeks or months."), field=field)
    limit = MAX_PERIOD[PeriodUnit(unit)]
    if not 1 <= count <= limit:
        raise InputError(
            _("A number from 1 to %(limit)d %(unit)s is needed.")
            % {"limit": limit, "unit": str(PeriodUnit(unit).label)},
            field=field,
        )
    return count


def parse_tags(text: str) -> dict[str, str]:
    """Return the tags of a text with one ``name=value`` a line.

    Raises:
        InputError: a line without “=”, or a name twice; the line is named.

    """
    tags: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not trim(line):
            continue
        name, equals, value = line.partition("=")
        name, value = trim(name), trim(value)
        if not equals or not name:
            raise InputError(
                _("Line %(number)d is not a tag.") % {"number": number},
                _("Write one tag a line, as name=value."),
                field="tags",
            )
        if name.lower() in {known.lower() for known in tags}:
            raise InputError(_("The tag “%(name)s” is given twice.") % {"name": name}, field="tags")
        tags[name] = value
    return tags


def show_tags(tags: Mapping[str, str]) -> str:
    """Return tags as they are typed: one ``name=value`` a line."""
    return "\n".join(f"{name}={value}" for name, value in tags.items())


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags people set, without the console's own."""
    return {name: value for name, value in tags.items() if not name.lower().startswith(RESERVED_TAG_PREFIX)}


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags that fit on a pushed version beside the console's own.

    Raises:
        InputError: too many, too long, unreadable, or a name that is reserved for the console.

    """
    if len(tags) > MAX_TAGS:
        raise InputError(
            _("There are %(count)d tags; at most %(limit)d fit on a key.") % {"count": len(tags), "limit": MAX_TAGS},
            field="tags",
        )
    for name, value in tags.items():
        if max(len(name), len(value)) > MAX_TAG:
            raise InputError(
                _("A tag's name and value have at most %(limit)d characters each.") % {"limit": MAX_TAG}, field="tags"
            )
        if name.lower().startswith(RESERVED_TAG_PREFIX):
            raise InputError(
                _("Tags that begin with “%(prefix)s” are kept for the console.") % {"prefix": RESERVED_TAG_PREFIX},
                _("Choose another name for the tag."),
                field="tags",
            )
        _refuse_unreadable(name + value, field="tags")
    return dict(tags)


def _refuse_unreadable(text: str, *, field: str) -> None:
    if character := find_unreadable(text):
        raise InputError(
            _("It contains a symbol or an invisible character (U+%(code)04X).") % {"code": ord(character)},
            _("Use letters, digits, spaces and punctuation."),
            field=field,
        )


def _visible(character: str) -> str:
    """Return a character as it can be shown in a sentence."""
    if is_unreadable(character) and unicodedata.category(character) != "So":
        return f"U+{ord(character):04X}"
    return _("space") if character.isspace() else character
