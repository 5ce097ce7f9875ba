"""The typed values of a credential, and their differences from the stored row. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from cloudcreds.azure import addresses, credential_fields
from cloudcreds.azure.sign_in.certificate_files import UploadedCertificate
from cloudcreds.choices import CloudName, Service, SignIn
from cloudcreds.fields import clean_name
from cloudcreds.models import CloudCredential
from kmes.core.errors import ConflictError, InputError
from kmes.core.secret_types import SecretText

# The values that are compared, logged and shown when two people edit one credential; never the secret.
PLAIN_FIELDS = (
    "name",
    "service",
    "cloud",
    "tenant_id",
    "client_id",
    "sign_in",
    "secret_id",
    "sign_in_expires_on",
    "authority_url",
    "arm_url",
)


@dataclass(frozen=True, kw_only=True)
class CredentialValues:
    """The typed values. Without ``secret`` or ``certificate`` the stored one stays as it is."""

    name: str
    tenant_id: str
    client_id: str
    sign_in: str = SignIn.SECRET
    secret: SecretText | None = None
    certificate: UploadedCertificate | None = None
    service: str = Service.AZURE
    cloud: str = CloudName.PUBLIC
    secret_id: str = ""
    sign_in_expires_on: date | None = None
    authority_url: str = ""
    arm_url: str = ""

    def cleaned(self) -> CredentialValues:
        """Return the values as they may be stored.

        Raises:
            InputError: a value can't be used; ``field`` names it.

        """
        if self.cloud not in CloudName.values:
            raise InputError(_("There is no such cloud."), _("Choose one from the list."), field="cloud")
        if self.service not in Service.values:
            raise InputError(_("There is no such service."), _("Choose one from the list."), field="service")
        custom, by_secret = self.cloud == CloudName.CUSTOM, self.sign_in == SignIn.SECRET
        return replace(
            self,
            name=clean_name(self.name),
            tenant_id=credential_fields.clean_tenant_id(self.tenant_id),
            client_id=credential_fields.clean_client_id(self.client_id, sign_in=self.sign_in),
            sign_in=credential_fields.clean_sign_in(self.sign_in),
            # What belongs to another way to sign in must not stay.
            secret_id=credential_fields.clean_secret_id(self.secret_id) if by_secret else "",
            secret=credential_fields.clean_secret(self.secret.reveal(), cloud=self.cloud)
            if self.secret is not None and by_secret
            else None,
            certificate=self.certificate if self.sign_in == SignIn.CERTIFICATE else None,
            sign_in_expires_on=self._expiry(),
            # Azure's own clouds have fixed endpoints; a former custom one must not stay.
            authority_url=addresses.clean_endpoint(self.authority_url, field="authority_url") if custom else "",
            arm_url=addresses.clean_endpoint(self.arm_url, field="arm_url") if custom else "",
        )

    def _expiry(self) -> date | None:
        """Return the day on which what it signs in with expires: typed for a secret, read from a new certificate."""
        if self.sign_in == SignIn.CERTIFICATE and self.certificate is not None:
            return self.certificate.facts.not_after.date()
        return self.sign_in_expires_on if self.sign_in == SignIn.SECRET else None

    def plain(self) -> dict[str, Any]:
        """Return everything but secret and certificate."""
        return {name: getattr(self, name) for name in PLAIN_FIELDS}


@dataclass(frozen=True)
class Difference:
    """One field in which the stored and the typed value differ."""

    label: str
    stored: str
    yours: str


class CredentialChangedError(ConflictError):
    """Somebody else saved the credential meanwhile; nothing was overwritten. ``differences`` holds the fields."""

    def __init__(self, current: CloudCredential, differences: list[Difference]) -> None:
        super().__init__(
            _("“%(name)s” was changed by somebody else while you were editing it.") % {"name": current.name},
            _("Compare the values below. Your changes were not saved."),
        )
        self.current = current
        self.differences = differences


def differences(current: CloudCredential, values: CredentialValues) -> list[Difference]:
    """Return the fields in which the stored row and the typed values differ, in the form's order."""
    yours = values.plain()
    return [
        Difference(
            label=label_of(name),
            stored=_display(name, getattr(current, name)),
            yours=_display(name, yours[name]),
        )
        for name in PLAIN_FIELDS
        if getattr(current, name) != yours[name]
    ]


def label_of(name: str) -> str:
    """Return what a plain value is called."""
    field: Any = CloudCredential._meta.get_field(name)  # noqa: SLF001 - Django's documented way to a field
    return str(field.verbose_name)


def _display(name: str, value: Any) -> str:
    if name == "cloud":
        return str(CloudName(value).label)
    if name == "sign_in":
        return str(SignIn(value).label)
    if name == "service":
        return str(Service(value).label)
    return str(value) if value not in (None, "") else "-"


def readable(values: dict[str, Any]) -> dict[str, str]:
    """Return plain values as text, fit for a log row."""
    return {name: "" if value is None else str(value) for name, value in values.items()}
