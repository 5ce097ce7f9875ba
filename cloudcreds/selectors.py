"""Reads of credentials for lists, pages and the dashboard. Never loads a sealed secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cloudcreds.activity import Activity
from cloudcreds.checks import Check, checks_of
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential, KeyVault, SignInCertificate
from kmes.core.clock import now

EXPIRY_WARNING_DAYS = 30


class Attention:
    """Values of the list's filter ``?show=``: why a credential may need attention."""

    ALL = ""
    EXPIRING = "expiring"
    FAILING = "failing"
    UNTESTED = "untested"
    UNSEEN_VAULTS = "unseen"


ATTENTION_LABELS = {
    Attention.ALL: gettext_lazy("All"),
    Attention.EXPIRING: gettext_lazy("Expires soon"),
    Attention.FAILING: gettext_lazy("Test failed"),
    Attention.UNTESTED: gettext_lazy("Never tested"),
    Attention.UNSEEN_VAULTS: gettext_lazy("Vaults never reached"),
}


@dataclass(frozen=True)
class Expiry:
    """The remaining validity of a secret or certificate: the badge's colour, and a text."""

    colour: str
    text: str


@dataclass(frozen=True)
class TestView:
    """A connection test as a page shows it; ``digest`` changes when any of it does.

    ``ok`` is None while nobody tested, or while the test is under way (then ``activity`` says which).
    """

    ok: bool | None
    at: datetime | None
    vault: KeyVault | None
    checks: list[Check]
    activity: Activity | None
    digest: str


def best_first(vaults: Iterable[KeyVault]) -> list[KeyVault]:
    """Return the vaults with those first whose last test passed, then those untested, then those that failed."""
    return sorted(vaults, key=lambda vault: ([True, None, False].index(vault.last_test_ok), vault.name, vault.pk))


def view_test(
    credential: CloudCredential, vaults: list[KeyVault], activity: Activity | None, chosen: str = ""
) -> TestView:
    """Return the newest test of the credential, or that of the chosen vault; ``activity`` was read before the rows."""
    vault = next((one for one in vaults if str(one.pk) == chosen and one.last_tested_at), None)
    # A test writes credential and vault with the same time, so the vault it was made on is known.
    newest = next(
        (one for one in vaults if one.last_tested_at and one.last_tested_at == credential.last_tested_at), None
    )
    row = vault or credential
    seen = f"{row.last_tested_at}|{row.last_test_ok}|{len(row.last_test)}|{activity}"
    return TestView(
        row.last_test_ok,
        row.last_tested_at,
        vault or newest,
        checks_of(credential, vault or newest, row.last_test),
        activity,
        hashlib.blake2s(seen.encode(), digest_size=8).hexdigest(),
    )


def expiring() -> Q:
    """Return the condition for a secret or certificate that has expired or will within thirty days."""
    return Q(sign_in_expires_on__lte=now().date() + timedelta(days=EXPIRY_WARNING_DAYS))


def list_credentials(*, show: str = "", search: str = "") -> QuerySet[CloudCredential]:
    """Return the credentials by name, without their sealed secrets, with the number of their groups (``group_count``)."""
    found = CloudCredential.objects.defer("sealed_secret").annotate(group_count=Count("groups", distinct=True))
    conditions = {
        Attention.EXPIRING: expiring(),
        Attention.FAILING: Q(last_test_ok=False),
        Attention.UNTESTED: Q(last_tested_at__isnull=True),
        Attention.UNSEEN_VAULTS: Q(vaults__isnull=False, vaults__seen_at__isnull=True),
    }
    if show in conditions:
        found = found.filter(conditions[show])
    if search:
        found = found.filter(
            Q(name__icontains=search) | Q(tenant_id__icontains=search) | Q(client_id__icontains=search)
        )
    return found.distinct()


def describe_sign_in_expiry(credential: CloudCredential) -> Expiry:
    """Return how long what a credential signs in with is still valid, as text and colour."""
    if not credential.has_expiry:
        return Expiry("good", _("does not expire"))
    if credential.sign_in == SignIn.DEVICE_CERTIFICATE and credential.sign_in_expires_on is None:
        return Expiry("bad", _("no certificate yet"))
    return describe_expiry(credential.sign_in_expires_on)


def list_certificates(credential: CloudCredential) -> list[SignInCertificate]:
    """Return a credential's certificates without their keys, the one in use first."""
    return list(credential.certificates.defer("sealed_key", "wrapped_key").order_by("-is_in_use"))


def describe_expiry(expires_on: date | None) -> Expiry:
    """Return how long a secret or certificate is still valid, as text and colour."""
    if expires_on is None:
        return Expiry("neutral", _("expiry unknown"))
    days = (expires_on - now().date()).days
    if days < 0:
        return Expiry("bad", _("expired on %(date)s") % {"date": expires_on.isoformat()})
    if days == 0:
        return Expiry("bad", _("expires today"))
    left = ngettext("expires in %(count)d day", "expires in %(count)d days", days) % {"count": days}
    return Expiry("warning" if days <= EXPIRY_WARNING_DAYS else "good", left)
