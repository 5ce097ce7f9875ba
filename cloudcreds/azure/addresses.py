"""The addresses of vaults and endpoints: an allow-list, because who answers there gets a token or a secret.

The URL of a vault in Azure's own clouds is built here from its name. Custom endpoints exist only where
the installation's settings allow them.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.azure.clouds import ENDPOINTS
from cloudcreds.choices import CloudName
from cloudcreds.provider.types import CredentialAccess
from kmes.core.errors import InputError
from kmes.core.typed_text import trim

MAX_URL = 255
# Names are described in docs/azure.md#keys-api.
VAULT_NAME = re.compile(r"(?=.{3,24}$)[a-zA-Z](?!.*--)[a-zA-Z0-9-]*[a-zA-Z0-9]")


def check_vault_url(text: str, *, cloud: str, custom_allowed: bool, custom_hosts: list[str]) -> str:
    """Return the vault's URL for a typed name or URL.

    Raises:
        InputError: it is no vault of the credential's cloud (field ``vault``).

    """
    text = text.strip()
    if cloud == CloudName.CUSTOM:
        return check_custom_url(text, field="vault", custom_allowed=custom_allowed, custom_hosts=custom_hosts)
    suffix = ENDPOINTS[cloud].vault_suffix
    name = text
    if "/" in text or "." in text or ":" in text:
        match = re.fullmatch(rf"https://([a-zA-Z0-9-]+)\.{re.escape(suffix)}/?", text)
        if match is None:
            raise InputError(
                _("This is not a vault of the credential's cloud. Its addresses look like https://NAME.%(suffix)s.")
                % {"suffix": suffix},
                _("Type the vault's name, or its URL without port, path or user."),
                field="vault",
            )
        name = match.group(1)
    if not VAULT_NAME.fullmatch(name):
        raise InputError(
            _("A vault's name has 3 to 24 letters, digits and single hyphens, and begins with a letter."),
            _("Copy it from the vault's overview page in Azure."),
            field="vault",
        )
    return f"https://{name.lower()}.{suffix}"


def check_custom_url(text: str, *, field: str, custom_allowed: bool, custom_hosts: list[str]) -> str:
    """Return a custom endpoint's URL, as scheme, host and port.

    Raises:
        InputError: custom endpoints are off, or this one isn't allowed.

    """
    if not custom_allowed:
        raise InputError(
            _("This installation does not allow custom endpoints."),
            _("Choose one of Azure's clouds, or ask the server's administrator to set KMES_ALLOW_CUSTOM_ENDPOINTS."),
            field=field,
        )
    problem = InputError(
        _("A custom endpoint looks like https://HOST:PORT; allowed hosts: %(hosts)s.")
        % {"hosts": ", ".join(custom_hosts)},
        _("Type it without path, user name or query."),
        field=field,
    )
    if not re.fullmatch(r"https://[a-zA-Z0-9.-]+(:[0-9]{1,5})?/?", text):
        raise problem
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise problem from None
    if (parts.hostname or "") not in custom_hosts or port == 0:
        raise problem
    return f"https://{parts.hostname}:{port}" if port else f"https://{parts.hostname}"


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


def is_allowed(access: CredentialAccess, vault_url: str) -> bool:
    """Return whether an address is that of a vault which this credential may be used with."""
    try:
        check_vault_url(
            vault_url,
            cloud=access.cloud,
            custom_allowed=settings.KMES_ALLOW_CUSTOM_ENDPOINTS,
            custom_hosts=settings.KMES_CUSTOM_HOSTS,
        )
    except InputError:
        return False
    return True


def vault_name(url: str) -> str:
    """Return the name to show for a vault's URL."""
    parts = urlsplit(url)
    host = parts.hostname or url
    if re.fullmatch(r"[0-9.]+|localhost", host):
        return f"{host}:{parts.port}" if parts.port else host
    return host.partition(".")[0]
