"""A provider is found by the service of a credential."""

from __future__ import annotations

import pytest

from cloudcreds.azure.provider import AzureProvider
from cloudcreds.provider import registry
from cloudcreds.provider.errors import CREDENTIAL_CODES, CloudError, CloudErrorKind
from kmes.core.errors import KmesError


def test_azure_is_registered_at_start_up():
    assert isinstance(registry.provider_for("azure"), AzureProvider)


def test_a_second_provider_stands_beside_it_under_its_own_service(memory_cloud):
    assert registry.provider_for("memory").cloud is memory_cloud
    assert isinstance(registry.provider_for("azure"), AzureProvider)


def test_a_service_without_a_provider_is_refused_in_words():
    with pytest.raises(KmesError) as caught:
        registry.provider_for("nobody")
    assert (caught.value.code, caught.value.retryable) == ("no_provider", False)
    assert "nobody" in caught.value.what


def test_the_codes_that_rows_hold_are_the_same_for_every_provider():
    assert CloudError(CloudErrorKind.PERMISSION, "No.").code == "azure.permission"
    assert CloudError(CloudErrorKind.NO_HSM_KEYS, "No.").code == "azure.standard_vault"
    assert {"azure.permission", "azure.standard_vault", "azure.firewall"} <= CREDENTIAL_CODES
    assert "azure.not_found" not in CREDENTIAL_CODES
