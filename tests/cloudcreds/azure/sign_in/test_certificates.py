"""Signing in with a certificate, with the real SDK against the stand-in over TLS."""

from __future__ import annotations

import pytest

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.proofs import CertificateSignature
from hsm.client_assertions import PADDING, AssertionRequest, new_assertion
from kmes.core import known_secrets
from kmes.core.errors import DeviceError
from tests.cloudcreds.azure.conftest import CLIENT
from tests.cloudcreds.certificates import hashes, make_certificate, make_key, pem_of


class Signer:
    """The private key of a certificate; keeps the assertions that it signed."""

    def __init__(self, number=1):
        self.number, self.made, self.audiences = number, [], []

    def sign(self, audience):
        key, certificate = make_key(self.number), make_certificate(self.number)
        self.audiences.append(audience)
        self.made.append(
            new_assertion(
                AssertionRequest(CLIENT, audience), certificate, lambda text: key.sign(text, PADDING, hashes.SHA256())
            )
        )
        return self.made[-1]

    @property
    def proof(self):
        return CertificateSignature(make_certificate(self.number).fingerprint(hashes.SHA256()).hex(), self.sign)


@pytest.fixture
def signer(azure):
    """A signer whose certificate is registered with the application; assertions may be used once."""
    azure.stand_in.control(
        "POST", "/_emulator/clients", {"client_id": CLIENT, "certificates": [pem_of(make_certificate())]}
    )
    azure.stand_in.control("POST", "/_emulator/settings", {"refuse_replayed_assertions": True})
    return Signer()


def test_a_registered_certificate_signs_in_and_reaches_the_vault(azure, signer):
    gateway = azure.gateway(proof=signer.proof)
    gateway.get_token()
    assert gateway.list_versions("k") == []
    assert set(signer.audiences) == {f"{azure.stand_in.url}/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token"}


def test_each_resource_gets_an_assertion_of_its_own_which_is_used_once(azure, signer):
    gateway = azure.gateway(proof=signer.proof)
    gateway.get_token()
    gateway.list_vaults()
    gateway.get_token()
    assert len({each.reveal() for each in signer.made}) == len(signer.made) == 2


def test_a_certificate_that_is_not_registered_is_named_as_the_reason(azure, signer):
    with pytest.raises(CloudError) as refusal:
        azure.gateway(proof=Signer(2).proof).get_token()
    assert (refusal.value.kind, refusal.value.retryable) == (CloudErrorKind.WRONG_CERTIFICATE, False)
    assert "AADSTS700027" in refusal.value.what


def test_no_text_that_leaves_the_process_carries_an_assertion(azure, signer):
    azure.fault(part="entra", status=400, echo=["client_assertion"])
    with pytest.raises(CloudError) as refusal:
        azure.gateway(proof=signer.proof).get_token()
    assertion = signer.made[0].reveal()
    assert assertion not in f"{refusal.value}{refusal.value!r}{azure.notes.calls}"
    assert known_secrets.mask(f"log: {assertion}") == "log: ***"


def test_a_passing_fault_of_the_sign_in_is_tried_again_with_a_new_assertion(azure, signer):
    azure.fault(part="entra", status=503, count=1)
    azure.gateway(proof=signer.proof, budget=30).get_token()
    assert len({each.reveal() for each in signer.made}) == 2


def test_a_device_that_can_not_sign_is_not_taken_for_a_refusal_of_azure(azure):
    def fail(_audience):
        raise DeviceError("The device failed.", code="device_failed", retryable=True)

    gateway = azure.gateway(proof=CertificateSignature("0" * 64, fail))
    for call in (gateway.get_token, lambda: gateway.list_versions("k")):
        with pytest.raises(DeviceError) as failure:
            call()
        assert failure.value.retryable
