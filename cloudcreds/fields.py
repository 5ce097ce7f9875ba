"""What each field of a credential accepts, and what to type instead. Pure: no database, no network.

Called by the form while the user types and again by the services, so that every way in has the same rules.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.choices import CloudName
from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText

MAX_NAME = 128
MAX_SECRET = 512
MAX_URL = 255

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A verified domain of the tenant; the last label has letters, so that an IP address is none.
_DOMAIN = re.compile(rf"(?=.{{4,64}}\Z)(?:{_DOMAIN_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])", re.IGNORECASE)
# AZURE.md 2.5: 3 to 24 letters, digits and hyphens, begins with a letter, no double hyphen.
_VAULT_NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{1,22}[a-z0-9]", re.IGNORECASE)
# Control, format, surrogate, private use, unassigned, pictures, line and paragraph separators:
# none can be told apart reliably in a list or a log line.
_REFUSED_IN_NAMES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "So", "Zl", "Zp"})


def trim(text: str) -> str:
    """Cut what pasting leaves at the ends: white space of any kind and invisible characters."""

    def is_dirt(character: str) -> bool:
        return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}

    start, end = 0, len(text)
    while start < end and is_dirt(text[start]):
        start += 1
    while end > start and is_dirt(text[end - 1]):
        end -= 1
    return text[start:end]


def is_guid(text: str) -> bool:
    """Return whether the text has the form of a GUID, as the Azure portal shows them."""
    return _GUID.fullmatch(text) is not None


def clean_name(text: str) -> str:
    """Return the credential's name without blanks at its ends.

    Raises:
        InputError: empty, too long, or holds a character that can't be read in a log.

    """
    name = unicodedata.normalize("NFC", trim(text))
    if not name:
        raise InputError(_("The credential needs a name."), _("Type any name, such as “production”."), field="name")
    if len(name) > MAX_NAME:
        raise InputError(
            _("The name has %(count)d characters; at most %(limit)d fit.") % {"count": len(name), "limit": MAX_NAME},
            field="name",
        )
    for character in name:
        if unicodedata.category(character) in _REFUSED_IN_NAMES:
            raise InputError(
                _("The name holds a picture or an invisible character (U+%(code)04X).") % {"code": ord(character)},
                _("Use letters, digits, spaces and punctuation."),
                field="name",
            )
    return name


def clean_tenant_id(text: str) -> str:
    """Return the tenant as a lower-case GUID or a verified domain name.

    Raises:
        InputError: neither of the two.

    """
    tenant = trim(text)
    if is_guid(tenant) or _DOMAIN.fullmatch(tenant):
        return tenant.lower()
    raise InputError(
        _("This is not a tenant ID."),
        _(
            "Expected a GUID such as 11111111-2222-3333-4444-555555555555 (Microsoft Entra ID > Overview > Tenant ID),"
            " or a verified domain such as contoso.onmicrosoft.com."
        ),
        field="tenant_id",
    )


def clean_client_id(text: str) -> str:
    """Return the application (client) id as a lower-case GUID.

    Raises:
        InputError: not a GUID.

    """
    client = trim(text)
    if is_guid(client):
        return client.lower()
    raise InputError(
        _("This is not a client ID."),
        _(
            "Expected a GUID such as 11111111-2222-3333-4444-555555555555"
            " (App registrations > your app > Application (client) ID)."
        ),
        field="client_id",
    )


def clean_secret_id(text: str) -> str:
    """Return the id of the secret as a lower-case GUID; it may be left empty.

    Raises:
        InputError: not a GUID; the text may be the secret itself, so it is not repeated.

    """
    secret_id = trim(text)
    if not secret_id or is_guid(secret_id):
        return secret_id.lower()
    raise InputError(
        _("This is not a secret ID, and was not kept."),
        _("Expected a GUID: the column Secret ID of Certificates & secrets. The column Value belongs above."),
        field="secret_id",
    )


def clean_secret(text: str, *, cloud: str) -> SecretText:
    """Return the client secret without the blanks and line ends that pasting leaves around it.

    Raises:
        InputError: empty, too long, broken by white space, or plainly another value of the portal.

    """
    secret = trim(text)
    if not secret:
        raise InputError(_("The client secret is missing."), _("Paste the secret's Value."), field="secret")
    if len(secret) > MAX_SECRET:
        raise InputError(
            _("The client secret is longer than %(limit)d characters.") % {"limit": MAX_SECRET},
            _("Paste the secret's Value only."),
            field="secret",
        )
    if any(character.isspace() for character in secret):
        raise InputError(
            _("The client secret holds a space or a line break in its middle."),
            _("Copy the secret's Value again with the portal's copy button; secrets have no white space."),
            field="secret",
        )
    if not (secret.isascii() and secret.isprintable()):
        raise InputError(
            _("The client secret holds a character that no client secret has."),
            _("Copy the secret's Value again with the portal's copy button."),
            field="secret",
        )
    # The portal lists the secret's id beside its value; pasting the id is the usual slip, and
    # Entra ID answers it with a bare "invalid client secret".
    if cloud != CloudName.CUSTOM and is_guid(secret):
        raise InputError(
            _("This is the secret's ID, not the secret."),
            _("Paste the column Value of Certificates & secrets; it shows only right after the secret was made."),
            field="secret",
        )
    return SecretText(secret)


def clean_endpoint(text: str, *, field: str) -> str:
    """Return a custom endpoint as ``https://host[:port]`` (a path, as of an authority, is kept).

    Raises:
        InputError: custom endpoints are switched off, not https, or a host nobody allowed.

    """
    if not settings.KMES_ALLOW_CUSTOM_ENDPOINTS:
        raise InputError(
            _("Custom endpoints are switched off in this installation."),
            _("Choose one of Azure's clouds, or ask who runs this console to allow custom endpoints."),
            field="cloud",
        )
    url = trim(text)
    if not url or len(url) > MAX_URL:
        raise InputError(
            _("The URL is missing.") if not url else _("The URL is longer than %d characters.") % MAX_URL,
            _("Type an address such as https://127.0.0.1:8443."),
            field=field,
        )
    host = _https_host(url, field=field)
    allowed = {name.lower() for name in settings.KMES_CUSTOM_HOSTS}
    if host not in allowed:
        raise InputError(
            _("The host “%(host)s” is not allowed as a custom endpoint.") % {"host": host},
            _("Allowed are: %(hosts)s.") % {"hosts": ", ".join(sorted(allowed)) or "-"},
            field=field,
        )
    return url.rstrip("/")


def _https_host(url: str, *, field: str) -> str:
    """Return the host of an https URL in lower case, or say what is wrong with the URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme.lower() != "https":
        raise InputError(
            _("The URL must begin with https://."), _("Type an address such as https://127.0.0.1:8443."), field=field
        )
    broken = any(character.isspace() or not character.isprintable() for character in url)
    if not host or port == 0 or broken or parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            _("This is not the address of an endpoint."),
            _("Type scheme, host and port only, such as https://127.0.0.1:8443."),
            field=field,
        )
    return host.lower()


def clean_vault_name(text: str) -> str:
    """Return a vault's bare name in lower case.

    Raises:
        InputError: not a name Azure gives to a vault.

    """
    name = trim(text).lower()
    if _VAULT_NAME.fullmatch(name):
        return name
    raise InputError(
        _("“%(name)s” is not the name of a key vault.") % {"name": name[:64]},
        _("Type the vault's name (3 to 24 letters, digits and hyphens) or its URL."),
        field="vault",
    )
