"""The providers of this installation, by ``credential.service``. Each app registers its own at start-up."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import CloudProvider
from kmes.core.errors import KmesError

_providers: dict[str, CloudProvider] = {}


def register(provider: CloudProvider) -> None:
    """Register a provider; the latest of a service counts (apps may be loaded twice)."""
    _providers[provider.service] = provider


def provider_for(service: str) -> CloudProvider:
    """Return the provider of a credential's service.

    Raises:
        KmesError: no provider of this service is registered (code ``no_provider``).

    """
    try:
        return _providers[service]
    except KeyError:
        raise KmesError(
            _("This installation has no provider for the cloud service “%(service)s”.") % {"service": service},
            _("Choose another credential, or install the provider."),
            code="no_provider",
        ) from None
