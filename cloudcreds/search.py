"""Finds cloud credentials for the command palette: by name, tenant or client."""

from __future__ import annotations

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import CloudCredential
from kmes.ui.search import Hit, Provider, register, register_background


def register_all() -> None:
    """Register the search, and that credentials can be added."""
    register(Provider(name="credentials", label=_("Cloud Credentials"), find=find_credentials, order=40))
    register_background("credentials", icon="cloud", order=20)


def find_credentials(text: str, limit: int) -> list[Hit]:
    """Return credentials without their sealed secrets. One query."""
    matching = Q(name__icontains=text) | Q(tenant_id__istartswith=text) | Q(client_id__istartswith=text)
    found = CloudCredential.objects.defer("sealed_secret").filter(matching).order_by("name")
    return [
        Hit(
            label=credential.name,
            url=credential.get_absolute_url(),
            icon="cloud",
            detail=credential.get_cloud_display(),
            actions_url=reverse("cloudcreds:actions", args=[credential.pk]),
            target="credential",
            obj=credential,
            other_names=(credential.tenant_id, credential.client_id),
        )
        for credential in found[:limit]
    ]
