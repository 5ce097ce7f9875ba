"""The guarded transport: no request can be sent around its guard."""

from __future__ import annotations

import pytest
from azure.core.rest import HttpRequest

from cloudcreds.azure.answers import AskedService, SignInPlace
from cloudcreds.azure.transport import AddressRefused, GuardedTransport, Way

VAULT = "https://kv-prod.vault.azure.net"
WAY = Way(AskedService.VAULT, frozenset({VAULT}), SignInPlace(frozenset(), ""), "public")


def test_a_transport_is_guarded_before_its_first_request():
    # Two threads may send their first request at the same time.
    transport = GuardedTransport(WAY)
    guarded = dict(transport.session.adapters)
    transport.open()
    assert dict(transport.session.adapters) == guarded
    assert set(guarded) == {"https://"}
    assert not transport.session.trust_env


@pytest.mark.parametrize("url", ["https://evil.example/keys", "https://kv-prod.vault.azure.net@evil.example/keys"])
def test_another_host_is_refused_without_opening_the_transport(url):
    transport = GuardedTransport(WAY)
    with pytest.raises(AddressRefused):
        transport.send(HttpRequest("GET", url))
