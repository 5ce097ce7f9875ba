"""Writes what is known of vaults and of connection tests. Contacts no cloud: callers pass the answers in.

Each function belongs into the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.destinations import sign_new_vault
from cloudcreds.kek_shapes import KekShape
from cloudcreds.key_rules import rules_of
from cloudcreds.models import CloudCredential, KeyVault, VaultConfiguration
from cloudcreds.provider.registry import provider_for
from cloudcreds.provider.types import KekPublicKey, ProbeResult, VaultInfo
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule
from kmes.core import columns
from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.core.stored_text import storable_json
from kmes.core.typed_text import trim

# What a test tells of its vault, as the vault's columns are called.
_VAULT_FACTS = ("tier", "recovery_level", "recoverable_days")
_TIERS = {"premium": VaultTier.PREMIUM, "standard": VaultTier.STANDARD}


def clean_vault_url(text: str, *, credential: CloudCredential) -> str:
    """Return the URL of the vault that a typed name or URL means in the credential's cloud.

    Raises:
        InputError: missing, or no vault of that cloud (field ``vault``).

    """
    typed = trim(text)
    if not typed:
        raise InputError(
            _("The key vault is missing."), _("Choose one from the list, or type its name or URL."), field="vault"
        )
    return provider_for(credential.service).clean_vault_url(typed, cloud=credential.cloud)


def find_or_create_vault(*, url: str, credential: CloudCredential) -> KeyVault:
    """Return the credential's row of the vault, made if there is none. ``url`` comes from ``clean_vault_url``."""
    known = credential.vaults.filter(url__in=[url, f"{url}/"]).first()
    if known is not None:
        return known
    made = KeyVault.objects.create(
        credential=credential, name=provider_for(credential.service).vault_name(url), url=url
    )
    sign_new_vault(made)
    return made


def why_not_hsm_keys(vault: KeyVault) -> str:
    """Return why a vault can't take HSM keys, "" when it can or when its tier is not known yet. No query."""
    if vault.tier != VaultTier.STANDARD:
        return ""
    return _("The Key Vault %(vault)s is of the Standard tier, which holds no HSM keys") % {"vault": vault.name}


def as_last_seen(vault: KeyVault) -> KeyVault:
    """Return the row that knows the vault's tier: another credential's may, where this one's does not."""
    if vault.tier != VaultTier.UNKNOWN:
        return vault
    url = vault.url.rstrip("/")
    others = KeyVault.objects.filter(Q(url__iexact=url) | Q(url__iexact=f"{url}/")).exclude(tier=VaultTier.UNKNOWN)
    return others.order_by(F("seen_at").desc(nulls_last=True)).first() or vault


def choose_premium() -> str:
    """Return what helps where a vault is of the Standard tier."""
    return _(
        "Choose a vault of the Premium tier. If this one was upgraded, run List Key Vaults on its cloud credential."
    )


def record_standard(vault_id: UUID) -> None:
    """Record that a vault refused a key of the HSM for its tier."""
    KeyVault.objects.filter(pk=vault_id).update(tier=VaultTier.STANDARD, seen_at=now())


def can_keep(info: VaultInfo) -> bool:
    """Return whether a listed vault's address is one that a row can keep; no real one is longer."""
    return columns.fits(KeyVault, "url", info.url)


def record_listed(credential: CloudCredential, info: VaultInfo) -> KeyVault:
    """Record a vault as the provider's list describes it; one listed for the first time gets a row."""
    url = info.url.rstrip("/")
    vault = KeyVault.objects.filter(credential=credential, url__iexact=url).first() or KeyVault(
        credential=credential, url=url
    )
    vault.name, vault.tier, vault.seen_at = (
        columns.cut(KeyVault, "name", info.name),
        _TIERS.get(info.tier.lower(), VaultTier.UNKNOWN),
        now(),
    )
    vault.recovery_level = columns.cut(KeyVault, "recovery_level", info.recovery_level)
    vault.recoverable_days = info.recoverable_days
    if info.setup is not None:
        _take_policies(vault, info.setup.policies)
    is_new = vault._state.adding  # noqa: SLF001 - Django's documented way to tell a new row
    vault.save()
    if is_new:
        sign_new_vault(vault)
    if info.setup is not None:
        VaultConfiguration.objects.update_or_create(
            vault=vault,
            defaults={
                "access_model": info.setup.access_model,
                "public_access": info.setup.public_access,
                "firewall": info.setup.firewall,
                "private_endpoints": info.setup.private_endpoints,
                "read_at": vault.seen_at,
            },
        )
    return vault


def forget_policies(vault: KeyVault) -> None:
    """Record that the policies on the vault's keys could not be read any more."""
    KeyVault.objects.filter(pk=vault.pk).update(policies=None)


def _take_policies(vault: KeyVault, policies: Sequence[PolicyAssignment] | None) -> None:
    """Set the policies on the vault's keys, and the ephemeral key that they ask for.

    What was learned by trying stays while something may refuse that was not read.
    """
    vault.policies = None if policies is None else [asdict(one) for one in policies]
    if policies is None:
        return
    shape = rules_of(policies).fit_kek()
    if shape is not None and shape != KekShape(0):
        vault.kek_bits, vault.kek_days = shape.bits or None, shape.days or None
    elif all(one.rule != Rule.INITIATIVE for one in policies):
        vault.kek_bits = vault.kek_days = None


def record_shown_by_kek(vault_id: UUID, kek: KekPublicKey, *, seen_at: datetime) -> None:
    """Record what a KEK shows of its vault: it holds HSM keys, and how it deletes them."""
    KeyVault.objects.filter(pk=vault_id).update(
        tier=VaultTier.PREMIUM,
        recovery_level=columns.cut(KeyVault, "recovery_level", kek.recovery_level),
        recoverable_days=kek.recoverable_days,
        seen_at=seen_at,
    )


def record_kek_shape(vault: KeyVault, shape: KekShape) -> None:
    """Record the ephemeral key that the vault took after it had refused the usual one."""
    vault.kek_bits, vault.kek_days = shape.bits or None, shape.days or None
    KeyVault.objects.filter(pk=vault.pk).update(kek_bits=vault.kek_bits, kek_days=vault.kek_days)


def record_test(
    credential: CloudCredential, vault: KeyVault | None, results: Sequence[ProbeResult], *, ok: bool | None
) -> None:
    """Record the results of a connection test so far; ``ok`` is None until the test has ended.

    A test that has ended also tells the facts of its vault.
    """
    found: dict[str, Any] = {
        "last_test": storable_json([asdict(result) for result in results]),
        "last_test_ok": ok,
        "last_tested_at": now(),
    }
    CloudCredential.objects.filter(pk=credential.pk).update(**found)
    if vault is None:
        return
    if ok is not None:
        facts = {name: value for result in results for name, value in result.facts.items() if name in _VAULT_FACTS}
        if "recovery_level" in facts:
            facts["recovery_level"] = columns.cut(KeyVault, "recovery_level", str(facts["recovery_level"]))
        found |= {**facts, "seen_at": now()} if facts else {}
    KeyVault.objects.filter(pk=vault.pk).update(**found)
