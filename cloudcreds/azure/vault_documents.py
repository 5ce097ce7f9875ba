"""What a document of Key Vault must hold to be an answer to what was asked (docs/azure.md#keys-api).

A document that passes can be read by the SDK, and is about the key, version and vault that the request named. Members
that no call of the console reads may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

# The last second of the year 9999, the latest that a date can be.
LATEST = 253_402_300_799
# As long as names and versions can be (docs/azure.md#keys-api); other characters stand nowhere in an id. Rows keep it.
KEY_ID = re.compile(
    r"https://[0-9a-zA-Z.:\[\]-]{1,255}/keys/(?P<name>[0-9a-zA-Z-]{1,127})(?:/(?P<version>[0-9a-zA-Z]{1,64}))?",
    re.IGNORECASE,
)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Asked:
    """What a request was about. Names are "" where the path names none; ``path`` is the whole path, decoded."""

    host: str
    path: str
    name: str = ""
    version: str = ""


def host_of(url: str) -> str:
    """Return ``host:port`` of an https address, in lower case; "" for anything else, such as one with a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return ""
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        return ""
    return f"{parts.hostname.lower()}:{port}"


def is_key(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a key with its attributes: of the version asked about, if one was."""
    key = document.get("key")
    return (
        isinstance(key, dict)
        and isinstance(key.get("kty"), str)
        and _is_version_id(key.get("kid"), asked)
        and _are_texts(key.get("key_ops"))
        and all(_is_number(key.get(member)) for member in ("n", "e", "x", "y"))
        and _is_text_or_missing(key.get("crv"))
        and _are_attributes(document.get("attributes"))
        and _are_tags(document.get("tags"))
    )


def is_deletion(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a key that was just deleted; a vault without soft-delete names no way back."""
    is_final = document.get("recoveryId") is None
    return is_key(document, asked) and (is_final or _is_recoverable(document, asked))


def is_deleted_key(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a deleted key that can be recovered."""
    return is_key(document, asked) and _is_recoverable(document, asked)


def is_list_of_versions(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a page with versions of the key asked about."""
    return _is_page(
        document,
        asked,
        lambda row: (
            _is_version_id(row.get("kid"), asked)
            and _are_attributes(row.get("attributes"))
            and _are_tags(row.get("tags"))
        ),
    )


def is_list_of_keys(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a page with keys of the vault asked."""
    return _is_page(document, asked, lambda row: bool(_read_id(row.get("kid"), asked)[0]))


def is_signature(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a signature by the version asked."""
    value = document.get("value")
    return _is_version_id(document.get("kid"), asked) and bool(value) and isinstance(value, str) and _is_number(value)


def is_rotation_policy(document: dict[str, Any], asked: Asked) -> bool:
    """Return whether a document is a rotation policy; that of a key which has none names no key."""
    actions, attributes, where = (document.get(each) for each in ("lifetimeActions", "attributes", "id"))
    return (
        (where is None or (isinstance(where, str) and _leads_to(where, asked, f"/keys/{asked.name}/rotationpolicy")))
        and isinstance(actions, list)
        and all(_is_lifetime_action(one) for one in actions)
        and (attributes is None or (isinstance(attributes, dict) and _is_text_or_missing(attributes.get("expiryTime"))))
    )


def _is_lifetime_action(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    action, trigger = row.get("action"), row.get("trigger")
    return (
        isinstance(action, dict)
        and isinstance(action.get("type"), str)
        and isinstance(trigger, dict)
        and all(_is_text_or_missing(trigger.get(member)) for member in ("timeAfterCreate", "timeBeforeExpiry"))
    )


def _is_page(document: dict[str, Any], asked: Asked, is_row: Callable[[dict[str, Any]], bool]) -> bool:
    rows = document.get("value")
    return (
        isinstance(rows, list)
        and all(isinstance(row, dict) and is_row(row) for row in rows)
        and _is_next_link(document.get("nextLink"), asked)
    )


def _is_next_link(link: Any, asked: Asked) -> bool:
    """Return whether a page names no next one, or one of the same listing."""
    if link is None or link == "":
        return True
    return isinstance(link, str) and _PRINTABLE.fullmatch(link) is not None and _leads_to(link, asked, asked.path)


def _is_recoverable(document: dict[str, Any], asked: Asked) -> bool:
    link = document.get("recoveryId")
    is_own = isinstance(link, str) and _leads_to(link, asked, f"/deletedkeys/{asked.name}")
    return is_own and all(_is_time(document.get(member)) for member in ("deletedDate", "scheduledPurgeDate"))


def _leads_to(url: str, asked: Asked, path: str) -> bool:
    """Return whether an address is this path of the vault that was asked."""
    return host_of(url) == asked.host and unquote(urlsplit(url).path).rstrip("/").lower() == path.rstrip("/").lower()


def _read_id(kid: Any, asked: Asked) -> tuple[str, str]:
    """Return the name and the version ("" for none) in an id in the vault asked; twice "" for anything else."""
    found = KEY_ID.fullmatch(kid) if isinstance(kid, str) and host_of(kid) == asked.host else None
    return (found["name"], found["version"] or "") if found else ("", "")


def _is_version_id(kid: Any, asked: Asked) -> bool:
    name, version = _read_id(kid, asked)
    return bool(version) and name.lower() == asked.name.lower() and asked.version.lower() in {"", version.lower()}


def _are_attributes(attributes: Any) -> bool:
    if not isinstance(attributes, dict) or not isinstance(attributes.get("enabled"), bool):
        return False
    return (
        _is_time(attributes.get("created"))
        and all(attributes.get(each) is None or _is_time(attributes[each]) for each in ("updated", "exp", "nbf"))
        and _is_text_or_missing(attributes.get("recoveryLevel"))
        and isinstance(attributes.get("recoverableDays") or 0, int)
    )


def _is_time(value: Any) -> bool:
    """Return whether a value is a time as Key Vault writes it: whole seconds since 1970."""
    return type(value) is int and 0 <= value <= LATEST


def _are_tags(tags: Any) -> bool:
    return tags is None or (isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()))


def _are_texts(values: Any) -> bool:
    return values is None or (isinstance(values, list) and all(isinstance(value, str) for value in values))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _BASE64URL.fullmatch(value) is not None)


def _is_text_or_missing(value: Any) -> bool:
    return value is None or isinstance(value, str)
