"""The one place where what a credential signs in with is opened: in the device, in a worker, for one job."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import transaction
from django.utils.translation import gettext as _

from cloudcreds import destinations, seals
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential, KeyVault, SignInCertificate
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.proofs import CertificateSignature, ClientSecret, FederatedToken, HostIdentity, Proof
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.registry import provider_for
from cloudcreds.provider.types import CredentialAccess
from cloudcreds.verification import verify
from hsm.client_assertions import PADDING, AssertionRequest, new_assertion
from hsm.destination_marks import Use
from hsm.device import get_device
from hsm.verified import VerifiedDestination
from kmes.core.errors import KmesError
from kmes.core.known_secrets import remember
from kmes.core.secret_types import SecretText


def open_gateway(
    credential: CloudCredential, vault: KeyVault | None, *, recorder: Recorder, backoff: Backoff, use: Use
) -> VaultGateway:
    """Return the gateway to a vault, or without one to the credential's list of vaults. Both are verified first.

    Raises:
        MarkError: the credential or the vault lacks the device's mark.
        DeviceError: as for ``open_access``.
        KmesError: this installation has no provider for the credential's service.

    """
    provider = provider_for(credential.service)
    credential, destination = verify(credential, vault, use)
    if _seal_anew(credential, destination, use):
        credential, destination = verify(credential, vault, use)
    url = destination.vault.url if destination.vault else ""
    return provider.open_gateway(open_access(credential, destination), url, recorder=recorder, backoff=backoff)


def seal_for_place(credential: CloudCredential, use: Use) -> None:
    """Seal what a credential signs in with for its place, where an earlier release bound it to its row only.

    Raises:
        DeviceError: the credential lacks the device's mark, the seal does not open, or the device can't serve.

    """
    credential, destination = verify(credential, None, use)
    _seal_anew(credential, destination, use)


def _seal_anew(credential: CloudCredential, destination: VerifiedDestination, use: Use) -> bool:
    """Seal what the credential signs in with for its place of now, if its seal is for another. Return whether it was.

    The place changes by a signed save only, and the device has marked it.

    Raises:
        DeviceError: the seal does not open, or the device can't serve.

    """
    place = list(destination.credential.place)
    key = credential.certificates.exclude(sealed_key=b"").filter(is_in_use=True).first()
    secret = bytes(credential.sealed_secret)
    sealed_secret = sealed_key = b""
    if secret and credential.sealed_for != place and destination.credential.sign_in == SignIn.SECRET:
        former = seals.context_of_secret(credential)
        sealed_secret = get_device().reseal(destination, secret, former=former, holder=seals.SECRET)
    if key is not None and key.sealed_for != place and destination.credential.sign_in == SignIn.CERTIFICATE:
        former, holder = seals.context_of_key(key), seals.holder_of_key(key)
        sealed_key = get_device().reseal(destination, bytes(key.sealed_key), former=former, holder=holder)
    if not sealed_secret and not sealed_key:
        return False
    with transaction.atomic(), destinations.changing(credential, actor=use.actor):
        if sealed_secret:
            same = CloudCredential.objects.filter(pk=credential.pk, sealed_secret=secret)
            same.update(sealed_secret=sealed_secret, sealed_for=place)
        if sealed_key and key is not None:
            SignInCertificate.objects.filter(pk=key.pk, sealed_key=key.sealed_key).update(
                sealed_key=sealed_key, sealed_for=place
            )
    credential.refresh_from_db()
    return True


def open_access(credential: CloudCredential, destination: VerifiedDestination) -> CredentialAccess:
    """Return what the provider needs to sign in, with a secret opened in the device for a verified destination.

    Keep the result no longer than the job runs; never store, log or send it.

    Raises:
        DeviceError: this process may not open secrets (web, beat, reports), the device is gone, or the sealed secret
            was made for another row or device.
        KmesError: the credential signs in with a certificate and has none yet (code ``no_certificate``).

    """
    facts = destination.credential
    return CredentialAccess(
        cloud=facts.cloud,
        tenant_id=facts.tenant_id,
        client_id=facts.client_id,
        proof=_open_proof(credential, destination),
        authority_url=facts.authority_url,
        arm_url=facts.arm_url,
    )


def _open_proof(credential: CloudCredential, destination: VerifiedDestination) -> Proof:
    match SignIn(destination.credential.sign_in):
        case SignIn.SECRET:
            secret = get_device().open_secret(destination, bytes(credential.sealed_secret), holder=seals.SECRET)
            remember(secret.reveal())
            return ClientSecret(secret)
        case SignIn.CERTIFICATE:
            return _with_opened_key(destination, _certificate_in_use(credential))
        case SignIn.DEVICE_CERTIFICATE:
            return _with_key_in_device(destination, _certificate_in_use(credential))
        case SignIn.FEDERATION:
            return FederatedToken()
        case SignIn.MANAGED_IDENTITY:
            return HostIdentity()


def _certificate_in_use(credential: CloudCredential) -> SignInCertificate:
    found = credential.certificates.filter(is_in_use=True).first()
    if found is None:
        raise KmesError(
            _("“%(name)s” has no certificate to sign in with yet.") % {"name": credential.name},
            _("Make one on the page of the credential, or upload one under Edit."),
            code="no_certificate",
        )
    return found


def _with_opened_key(destination: VerifiedDestination, row: SignInCertificate) -> CertificateSignature:
    """Open an uploaded private key; it signs in this process."""
    pem = get_device().open_secret(destination, bytes(row.sealed_key), holder=seals.holder_of_key(row))
    remember(pem.reveal())
    key = serialization.load_pem_private_key(pem.reveal().encode(), None)
    certificate = x509.load_pem_x509_certificate(row.pem.encode())

    def sign(audience: str) -> SecretText:
        return new_assertion(
            AssertionRequest(destination.credential.client_id, audience),
            certificate,
            lambda text: _signature(key, text),
        )

    return CertificateSignature(row.thumbprint_sha256, sign)


def _signature(key: object, text: bytes) -> bytes:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("only certificates with RSA keys are stored")
    return key.sign(text, PADDING, hashes.SHA256())


def _with_key_in_device(destination: VerifiedDestination, row: SignInCertificate) -> CertificateSignature:
    """Let the device sign: the private key leaves it wrapped only."""
    wrapped, pem = bytes(row.wrapped_key), row.pem

    def sign(audience: str) -> SecretText:
        return get_device().sign_assertion(destination, wrapped_private=wrapped, pem=pem, audience=audience)

    return CertificateSignature(row.thumbprint_sha256, sign)
