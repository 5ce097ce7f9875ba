"""Whether a vault is set up well for keys of an HSM: line by line, with its meaning and what to do.

Reads what jobs recorded of the vault, and asks no cloud. Numbers of the CIS benchmark: docs/azure.md#readiness-of-a-vault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.choices import AccessModel, VaultTier
from cloudcreds.kek_shapes import KekShape, first_shape
from cloudcreds.key_rules import assignments_of, rules_of
from cloudcreds.models import KeyVault, VaultConfiguration
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule
from kmes.core.clock import now

# What is older may have changed since.
STALE_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class Line:
    """One line: its state in a word and a colour, what that means, what to do, the CIS number, and when it was read.

    ``details`` are further sentences, such as one per policy.
    """

    name: str
    word: str
    colour: str
    meaning: str
    cure: str = ""
    cis: str = ""
    read_at: datetime | None = None
    details: list[str] = field(default_factory=list)

    @property
    def is_stale(self) -> bool:
        """Return whether it was read so long ago that it may have changed."""
        return self.read_at is not None and now() - self.read_at > STALE_AFTER


def lines_of(vault: KeyVault) -> list[Line]:
    """Return the lines about a vault. ``vault.configuration`` is read; load it with the vault."""
    setup = getattr(vault, "configuration", None)
    return [
        _access_model(setup),
        _tier(vault),
        _soft_delete(vault),
        _purge_protection(vault),
        _network(setup),
        _policies(vault, setup),
        _kek(vault),
    ]


def unread(name: str, *, cis: str = "") -> Line:
    """Return the line of what nobody has read yet."""
    return Line(
        name,
        _("Not read yet"),
        "neutral",
        _("The console has not read this."),
        _("Give the application the role Reader on the vault, then run List Key Vaults on the credential."),
        cis,
    )


def _access_model(setup: VaultConfiguration | None) -> Line:
    name, cis = _("Access model"), "8.3.6"
    if setup is None:
        return unread(name, cis=cis)
    if setup.access_model == AccessModel.ROLES:
        meaning = _(
            "Role assignments decide who may do what. The role Key Vault Crypto Officer holds all that a push needs."
        )
        return Line(name, _("Azure RBAC"), "good", meaning, cis=cis, read_at=setup.read_at)
    return Line(
        name,
        _("Access policies"),
        "warning",
        _(
            "The vault's access policy decides who may do what. From 2027-02-27 on Azure serves only API versions in "
            "which new vaults use RBAC. This vault keeps its access policies, but a script that creates or deploys it "
            "again without naming them makes it an RBAC vault, and the application then has no right on it."
        ),
        _(
            "Assign Key Vault Crypto Officer to the application first, then change Access configuration to Azure RBAC. "
            "Until then, set enableRbacAuthorization to false in templates."
        ),
        cis,
        setup.read_at,
    )


def _tier(vault: KeyVault) -> Line:
    name = _("Tier")
    if vault.tier == VaultTier.PREMIUM:
        return Line(name, _("Premium"), "good", _("It holds HSM keys."), read_at=vault.seen_at)
    if vault.tier == VaultTier.STANDARD:
        return Line(
            name,
            _("Standard"),
            "bad",
            _("It holds software keys only, so nothing can be pushed."),
            _("Choose a Premium vault, or raise the tier of this one, which changes what it costs."),
            read_at=vault.seen_at,
        )
    return unread(name)


def _soft_delete(vault: KeyVault) -> Line:
    name = _("Soft-delete")
    if vault.has_soft_delete is None:
        return unread(name)
    if not vault.has_soft_delete:
        meaning = _("What is deleted is gone at once.")
        cure = _("Turn soft-delete on. Azure has it on for every vault since February 2025.")
        return Line(name, _("Off"), "bad", meaning, cure, read_at=vault.seen_at)
    days = vault.recoverable_days or 90
    meaning = ngettext(
        "Deleted keys can be recovered for %(days)d day.", "Deleted keys can be recovered for %(days)d days.", days
    )
    return Line(name, _("On"), "good", meaning % {"days": days}, read_at=vault.seen_at)


def _purge_protection(vault: KeyVault) -> Line:
    name, cis = _("Purge protection"), "8.3.5"
    if vault.is_purge_protected is None:
        return unread(name, cis=cis)
    if vault.is_purge_protected:
        meaning = _(
            "Nobody can purge a deleted key before its retention ends. Deleted ephemeral keys stay until then as well."
        )
        return Line(name, _("On"), "good", meaning, cis=cis, read_at=vault.seen_at)
    return Line(
        name,
        _("Off"),
        "warning",
        _(
            "Whoever may purge can destroy a deleted key for good. Azure SQL, Storage and disk encryption ask for purge "
            "protection."
        ),
        _("Turn it on under Properties of the vault. It can't be turned off again."),
        cis,
        vault.seen_at,
    )


def _network(setup: VaultConfiguration | None) -> Line:
    name = _("Network")
    if setup is None:
        return unread(name, cis="8.3.7, 8.3.8")
    endpoints = ngettext("%(count)d private endpoint", "%(count)d private endpoints", setup.private_endpoints) % {
        "count": setup.private_endpoints
    }
    if not setup.public_access:
        if setup.private_endpoints:
            meaning = _("The vault has no public address; it answers through %(endpoints)s.") % {"endpoints": endpoints}
            return Line(name, _("Private"), "good", meaning, cis="8.3.7, 8.3.8", read_at=setup.read_at)
        return Line(
            name,
            _("Closed"),
            "bad",
            _("Public access is off and there is no private endpoint, so no worker reaches the vault."),
            _("Add a private endpoint in the worker's network (Networking > Private endpoint connections)."),
            "8.3.7, 8.3.8",
            setup.read_at,
        )
    word, colour, meaning = (
        (_("Firewall"), "info", _("It answers chosen addresses and networks only, and has %(endpoints)s."))
        if setup.firewall
        else (_("Public"), "warning", _("It answers from every address, and has %(endpoints)s."))
    )
    return Line(
        name,
        word,
        colour,
        meaning % {"endpoints": endpoints},
        _(
            "Reach it through a private endpoint and turn public access off. Until then, allow the worker's addresses only."
        ),
        "8.3.7, 8.3.8",
        setup.read_at,
    )


def _policies(vault: KeyVault, setup: VaultConfiguration | None) -> Line:
    name, read_at = _("Azure Policy"), setup.read_at if setup else None
    if vault.policies is None:
        return Line(
            name,
            _("Not known"),
            "neutral",
            _("The policies on keys could not be read. A push meets them by trying."),
            _("Give the application the role Reader on the subscription or the vault, then run List Key Vaults."),
            read_at=read_at,
        )
    assignments = assignments_of(vault)
    details = [describe_policy(one) for one in assignments]
    if why := rules_of(assignments).why_no_kek():
        cure = _("Change the policy or exempt the vault from it.")
        return Line(name, _("Bars BYOK"), "bad", why, cure, read_at=read_at, details=details)
    denying = sum(one.denies for one in assignments)
    if denying:
        word = ngettext("%(count)d denies", "%(count)d deny", denying) % {"count": denying}
        meaning = _("Policies refuse new versions that don't comply. What they deny to a key group stands below.")
        return Line(name, word, "info", meaning, read_at=read_at, details=details)
    meaning = _(
        "No built-in policy on keys refuses new ones. Policies that somebody wrote, and those within initiatives, are "
        "not looked into: a push meets them by trying."
    )
    if any(one.rule == Rule.INITIATIVE for one in assignments):
        return Line(name, _("None known"), "neutral", meaning, read_at=read_at, details=details)
    return Line(name, _("None denies"), "good", meaning, read_at=read_at, details=details)


def describe_policy(assignment: PolicyAssignment) -> str:
    """Say what an assigned policy does, and what that means here."""
    effect = _("denies") if assignment.denies else _("reports only")
    value = assignment.value
    shown = ", ".join(value) if isinstance(value, list) else str(value) if value is not None else ""
    named = {"title": assignment.title, "value": shown, "effect": effect}
    text = _("%(title)s (%(value)s): %(effect)s.") % named if shown else _("%(title)s: %(effect)s.") % named
    if assignment.rule == Rule.INITIATIVE:
        return _("Initiative “%(title)s”: its policies are not read here.") % {"title": assignment.title}
    return f"{text} {note}" if (note := _notes().get(assignment.rule)) else text


def _notes() -> dict[str, str]:
    return {
        Rule.ROTATION_SCHEDULED: _("A BYOK key does not comply by nature: this console rotates it, not Azure."),
        Rule.HSM_ONLY: _("Every key of this console complies."),
        Rule.MAXIMUM_AGE: _("It concerns versions that have been in use for long."),
        Rule.MINIMUM_DAYS: _("It also concerns the ephemeral key."),
        Rule.MINIMUM_RSA_BITS: _("It also concerns the ephemeral key."),
    }


def _kek(vault: KeyVault) -> Line:
    shape = first_shape(vault, 0)
    name = _("Ephemeral key")
    if shape == KekShape(0):
        meaning = _(
            "The vault has refused no ephemeral key. Each job makes one, as large as its keys need, for two hours."
        )
        return Line(name, _("Usual"), "good", meaning)
    parts = list(_parts(shape))
    meaning = _(
        "A policy refuses the usual ephemeral key. Pushes ask for: %(parts)s. It is deleted after use all the same."
    )
    return Line(name, _("Fitted"), "info", meaning % {"parts": ", ".join(parts)})


def _parts(shape: KekShape) -> Iterator[str]:
    if shape.bits:
        yield _("RSA, at least %(bits)d bits") % {"bits": shape.bits}
    if shape.days:
        yield ngettext("valid for %(days)d day", "valid for %(days)d days", shape.days) % {"days": shape.days}
