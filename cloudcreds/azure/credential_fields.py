"""What the fields of a credential for Azure accept, and what to type instead. No database, no network.

The form calls these rules while the user types, and the services call them again.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.choices import CloudName, SignIn
from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText
from kmes.core.typed_text import trim

MAX_SECRET = 512

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A verified domain of the tenant; the last label has letters, so that an IP address is none.
_DOMAIN = re.compile(rf"(?=.{{4,64}}\Z)(?:{_DOMAIN_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])", re.IGNORECASE)


def is_guid(text: str) -> bool:
    """Return whether the text has the form of a GUID, as the Azure portal shows them."""
    return _GUID.fullmatch(text) is not None


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


def clean_sign_in(text: str) -> str:
    """Return the way to sign in, if this installation offers it.

    Raises:
        InputError: there is no such way, or it needs a token file and none is named.

    """
    if text not in SignIn.values:
        raise InputError(_("There is no such way to sign in."), _("Choose one from the list."), field="sign_in")
    if text == SignIn.FEDERATION and not settings.KMES_FEDERATED_TOKEN_FILE:
        raise InputError(
            _("This installation names no token file for workload identity federation."),
            _("Ask the server's administrator to set KMES_FEDERATED_TOKEN_FILE, or choose another way."),
            field="sign_in",
        )
    return text


def clean_client_id(text: str, *, sign_in: str) -> str:
    """Return the application (client) id as a lower-case GUID; "" for the managed identity that a host has of its own.

    Raises:
        InputError: not a GUID.

    """
    client = trim(text)
    if is_guid(client) or (not client and sign_in == SignIn.MANAGED_IDENTITY):
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
    # The portal lists the secret's id beside its value. Entra ID answers a pasted id only with
    # "invalid client secret".
    if cloud != CloudName.CUSTOM and is_guid(secret):
        raise InputError(
            _("This is the secret's ID, not the secret."),
            _("Paste the column Value of Certificates & secrets; it shows only right after the secret was made."),
            field="secret",
        )
    return SecretText(secret)
