"""What will happen if a job is started: the facts, the effects in order, what survives, what bars it.

Says only what is known here; the job looks at the vault itself before it acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.template.defaultfilters import date as format_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.choices import VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from jobs import obstacles
from keygroups.lifecycle import LIVE_STATES
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now

NAMES_SHOWN = 10
# As the connection test names them (KMES.md, "Azure side").
PUSH_PERMISSIONS = ("Get", "List", "Create", "Import", "Delete", "Purge")


@dataclass(frozen=True)
class Fate:
    """One row of the matrix: a thing, and what becomes of it ("good" when it stays)."""

    thing: str
    outcome: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a confirmation shows. ``typed`` is the name to type before what can't be undone."""

    title: str
    button: str
    back: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    obstacle: str = ""
    typed: str = ""
    danger: bool = False


# --- Facts -----------------------------------------------------------------------------------
def names_of(keys: Sequence[Key], *, limit: int = NAMES_SHOWN) -> str:
    """Return the names of keys, the first ones only where there are many."""
    shown = ", ".join(key.name for key in keys[:limit])
    more = len(keys) - limit
    return shown if more <= 0 else _("%(names)s and %(more)d more") % {"names": shown, "more": more}


def vault_facts(group: KeyGroup) -> list[tuple[str, str]]:
    """Return where a group's keys go, and what the vault does with what is deleted."""
    vault = group.vault
    return [
        (_("Key group"), group.name),
        (_("Cloud credential"), group.credential.name),
        (_("Key Vault"), f"{vault.name} ({vault.get_tier_display()})"),
        (_("Azure key name"), group.azure_name),
        (_("Recovery level"), _describe_recovery(vault)),
    ]


def _describe_recovery(vault: KeyVault) -> str:
    if vault.has_soft_delete is None:
        return _("not asked yet; the job looks")
    if not vault.has_soft_delete:
        return _("no soft-delete: what is deleted is gone")
    days = vault.recoverable_days
    kept = ngettext("kept %(days)d day after deletion", "kept %(days)d days after deletion", days or 90) % {
        "days": days or 90
    }
    protected = _("purge protection") if vault.is_purge_protected else _("can be purged")
    return f"{kept}, {protected}"


def _push_facts(group: KeyGroup) -> list[tuple[str, str]]:
    valid = _("no expiry")
    if group.valid_for:
        valid = f"{group.valid_for} {group.get_valid_unit_display()}"
    return [
        *vault_facts(group),
        (_("Key type"), group.key_spec),
        (_("Ephemeral KEK"), _kek_text(group)),
        (_("Permissions"), _permissions_text(group.credential)),
        (_("Keep key valid for"), valid),
    ]


def _kek_text(group: KeyGroup) -> str:
    return _("kmes-kek-…, named after the job: RSA %(bits)d, may only import, lives two hours at most") % {
        "bits": group.spec.kek_bits
    }


def _permissions_text(credential: CloudCredential) -> str:
    """Say which permissions of the push the last connection test found."""
    results = {row.get("name"): row.get("ok") for row in credential.last_test}
    found = [name for name in PUSH_PERMISSIONS if results.get(name)]
    missing = [name for name in PUSH_PERMISSIONS if results.get(name) is False]
    if credential.last_tested_at is None or not (found or missing):
        return _("not tested yet (Test Connection on the credential)")
    text = _("found: %(names)s") % {"names": ", ".join(found) or "–"}
    if missing:
        text += "; " + _("missing: %(names)s") % {"names": ", ".join(missing)}
    return f"{text} ({credential.last_tested_at:%Y-%m-%d})"


def push_warnings(group: KeyGroup) -> list[str]:
    """Say what speaks against pushing the group's keys as they are."""
    found = []
    if group.vault.tier == VaultTier.STANDARD:
        found.append(_("The vault is of the Standard tier: it can't take HSM protected keys. Choose a Premium vault."))
    if group.credential.last_test_ok is False:
        found.append(_("The last connection test of this credential failed: a permission may be missing."))
    if group.spec.is_rsa and group.spec.bits > 3072:
        found.append(_("Azure SQL takes RSA keys of 2048 or 3072 bits only."))
    if not group.spec.is_rsa:
        found.append(
            _("Azure SQL, disk encryption and storage take RSA keys only; this one serves applications of your own.")
        )
    return found


def _push_effects(group: KeyGroup, count: int) -> list[str]:
    return [
        _("The vault makes an ephemeral KEK; its private half never leaves the vault."),
        ngettext("The HSM wraps %(count)d key under it.", "The HSM wraps %(count)d keys under it.", count)
        % {"count": count},
        ngettext(
            "The vault imports it as a new version of “%(name)s”.",
            "The vault imports them as new versions of “%(name)s”.",
            count,
        )
        % {"name": group.azure_name},
        _("The newest version becomes active; older ones stay in the vault as superseded."),
        _("The KEK is deleted, and purged where the vault soft-deletes."),
    ]


# --- Plans -----------------------------------------------------------------------------------
def plan_create(group: KeyGroup) -> Plan:
    """Describe what making keys does."""
    return Plan(
        title=_("Create random key in %(group)s") % {"group": group.name},
        button=_("OK"),
        back=group.get_absolute_url(),
        facts=[(_("Key group"), group.name), (_("Key type"), group.key_spec)],
        effects=[
            _("The key is made in the HSM. Nothing is sent to the vault until you synchronize it."),
        ],
    )


def plan_synchronize(group: KeyGroup, keys: Sequence[Key], *, whole_group: bool) -> Plan:
    """Describe what a push does."""
    count = len(keys)
    obstacle = obstacles.to_synchronize_all(group) if whole_group else obstacles.to_synchronize(keys[0])
    if count > 1 and not whole_group:
        # A selection: the service says which key is in the way, once it is asked.
        obstacle = ""
    name = keys[0].name if count == 1 else ""
    title = _("Synchronize %(key)s") % {"key": name} if name else ""
    many = ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}
    return Plan(
        title=title or many,
        button=many,
        back=group.get_absolute_url(),
        facts=[(_("Keys"), names_of(keys)), *_push_facts(group)] if keys else _push_facts(group),
        effects=_push_effects(group, count) if keys else [],
        warnings=push_warnings(group),
        obstacle=obstacle,
    )


def plan_rotate(group: KeyGroup) -> Plan:
    """Describe what a forced rotation does."""
    return Plan(
        title=_("Force rotation of %(group)s") % {"group": group.name},
        button=_("Force rotation"),
        back=group.get_absolute_url(),
        facts=_push_facts(group),
        effects=[
            _("A new key is made in the HSM, named after the group and the time."),
            *_push_effects(group, 1),
            _("“Last rotated” is set when all of that has succeeded."),
        ],
        warnings=push_warnings(group),
        obstacle=obstacles.to_rotate(group),
    )


def plan_set_enabled(version: CloudVersion, *, enabled: bool) -> Plan:
    """Describe what enabling or disabling a version does."""
    key, group = version.key, version.group
    obstacle = obstacles.to_enable(key) if enabled else obstacles.to_disable(key)
    effects = [
        _("The vault uses this version again.")
        if enabled
        else _("The vault refuses every use of this version; what is encrypted with it can't be read until then."),
        _("Other versions and the key here stay as they are."),
    ]
    verb = _("Enable") if enabled else _("Disable")
    return Plan(
        title=f"{verb} {key.name}",
        button=_("Enable version") if enabled else _("Disable version"),
        back=key.get_absolute_url(),
        facts=[*vault_facts(group), (_("Azure version"), version.azure_version)],
        effects=effects,
        obstacle=obstacle,
        danger=not enabled,
    )


def plan_proof(version: CloudVersion) -> Plan:
    """Describe what proving a version does."""
    obstacle = "" if version.state in LIVE_STATES else _("The vault holds no live version of this key")
    return Plan(
        title=_("Prove %(key)s by a signature") % {"key": version.key.name},
        button=_("Prove key"),
        back=version.key.get_absolute_url(),
        facts=[(_("Azure key name"), version.azure_name), (_("Azure version"), version.azure_version)],
        effects=[
            _("The vault signs a random challenge with this version; the key permission Sign is needed."),
            _("The signature is verified here with the public key kept here. Nothing is changed."),
        ],
        obstacle=obstacle,
    )


def _count_versions(group: KeyGroup, states: Sequence[str]) -> str:
    count = group.cloud_versions.filter(state__in=states).count()
    return ngettext("%(count)d version in the vault", "%(count)d versions in the vault", count) % {"count": count}


def _stays_here() -> Fate:
    return Fate(_("Keys here, in the HSM's keeping"), _("stay, and can be synchronized again"), "good")


def plan_delete(group: KeyGroup) -> Plan:
    """Describe what deleting the Azure key does: what survives, and until when."""
    vault = group.vault
    until = format_date(now() + timedelta(days=vault.recoverable_days or 90), "Y-m-d")
    outcome = {
        None: _("deleted; recoverable if the vault soft-deletes"),
        False: _("gone for good: the vault has no soft-delete"),
        True: _("deleted, recoverable until %(date)s") % {"date": until},
    }[vault.has_soft_delete]
    versions = Fate(_count_versions(group, LIVE_STATES), outcome, "warning" if vault.has_soft_delete else "bad")
    return Plan(
        title=_("Delete %(key)s from %(vault)s") % {"key": group.azure_name, "vault": vault.name},
        button=_("Delete Azure key"),
        back=group.get_absolute_url(),
        facts=vault_facts(group),
        fates=[
            _stays_here(),
            versions,
            Fate(_("Applications that use the key"), _("stop working with it at once"), "bad"),
            Fate(_("The name “%(name)s”") % {"name": group.azure_name}, _taken(vault), "neutral"),
        ],
        warnings=[_("Azure deletes a key with all its versions, never one alone.")],
        obstacle=obstacles.to_delete(group),
        danger=True,
    )


def _taken(vault: KeyVault) -> str:
    if vault.has_soft_delete is False:
        return _("is free again")
    return _("stays taken until the key is recovered or purged")


def plan_recover(group: KeyGroup) -> Plan:
    """Describe what recovering the Azure key does."""
    return Plan(
        title=_("Recover %(key)s in %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Recover Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), _until(group))],
        effects=[_("The key comes back with all its versions, as they were when it was deleted.")],
        obstacle=obstacles.to_recover(group),
    )


def _until(group: KeyGroup) -> str:
    return format_date(group.scheduled_purge_at, "Y-m-d H:i") + " UTC" if group.scheduled_purge_at else _("unknown")


def plan_purge(group: KeyGroup) -> Plan:
    """Describe what purging the Azure key does."""
    return Plan(
        title=_("Purge %(key)s from %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Purge Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), _until(group))],
        fates=[
            _stays_here(),
            Fate(_count_versions(group, ["soft_deleted"]), _("gone for good; nobody can recover them"), "bad"),
            Fate(_("The name “%(name)s”") % {"name": group.azure_name}, _("is free again"), "neutral"),
        ],
        warnings=[_("This can't be undone.")],
        obstacle=obstacles.to_purge(group),
        typed=group.azure_name,
        danger=True,
    )


def fate_of_versions(keys: Sequence[Key]) -> Fate:
    """Say that what stands in the vault outlives the material here."""
    in_vault = CloudVersion.objects.filter(key__in=[key.pk for key in keys], state__in=LIVE_STATES).count()
    versions = ngettext("%(count)d version in the vault", "%(count)d versions in the vault", in_vault)
    return Fate(versions % {"count": in_vault}, _("stay as they are: the vault is not touched"), "good")


def plan_destroy(keys: Sequence[Key]) -> Plan:
    """Describe what destroying key material here does."""
    group, count = keys[0].group, len(keys)
    name = keys[0].name if count == 1 else group.name
    return Plan(
        title=_("Delete %(key)s (local)") % {"key": name}
        if count == 1
        else ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count},
        button=ngettext("Destroy %(count)d key", "Destroy %(count)d keys", count) % {"count": count},
        back=group.get_absolute_url(),
        facts=[(_("Keys"), names_of(keys)), (_("Key group"), group.name)],
        fates=[
            Fate(_("Private key material here"), _("destroyed for good"), "bad"),
            Fate(_("Public halves, history and log rows"), _("stay"), "good"),
            fate_of_versions(keys),
        ],
        warnings=[
            _("This can't be undone: the key can't be synchronized again. A copy in a database backup stays readable.")
        ],
        obstacle=obstacles.to_destroy(keys[0]) if count == 1 else "",
        typed=name,
        danger=True,
    )


def plan_drift(group: KeyGroup) -> Plan:
    """Describe what comparing with the vault does."""
    return Plan(
        title=_("Check drift of %(group)s") % {"group": group.name},
        button=_("Check drift"),
        back=group.get_absolute_url(),
        facts=vault_facts(group),
        effects=[
            _("The versions in the vault are read and compared with what is known here."),
            _("Nothing is changed in the vault; differences show on the key group, with what can be done about each."),
        ],
        obstacle=obstacles.to_check_drift(group),
    )


def plan_connection_test(credential: CloudCredential, vault: KeyVault | None) -> Plan:
    """Describe what trying a credential does."""
    facts = [(_("Cloud credential"), credential.name), (_("Cloud"), credential.get_cloud_display())]
    if vault is not None:
        facts.append((_("Address"), vault.url))
    effects = [
        _("A token is asked for, then the Resource Manager."),
        _("On a vault, network, tier, soft-delete and each key permission are tried; nothing is left behind."),
    ]
    return Plan(
        title=_("Test connection of %(name)s") % {"name": credential.name},
        button=_("Test connection"),
        back=credential.get_absolute_url(),
        facts=facts,
        effects=effects,
    )


def plan_vault_list(credential: CloudCredential) -> Plan:
    """Describe what listing vaults does."""
    return Plan(
        title=_("List Key Vaults of %(name)s") % {"name": credential.name},
        button=_("List Key Vaults"),
        back=credential.get_absolute_url(),
        facts=[(_("Cloud credential"), credential.name)],
        effects=[_("The Resource Manager is asked which vaults the credential can see; they become choices here.")],
    )


def plan_self_test(back: str) -> Plan:
    """Describe what the device's self-test does."""
    return Plan(
        title=_("Run self-test"),
        button=_("Run self-test"),
        back=back,
        effects=[
            _("A worker lets the device draw random numbers, answer known questions, sign, and wrap a throw-away key."),
            _("No key of yours is touched."),
        ],
    )
