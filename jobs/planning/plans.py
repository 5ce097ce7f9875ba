"""What will happen if a job is started: the facts, the effects in order, what survives, what bars it.

Says only what is known here; the job looks at the vault itself before it acts. What all plans are made of
is in ``plan_parts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.template.defaultfilters import date as format_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import CloudCredential, KeyVault
from jobs.planning import blockers
from jobs.planning.plan import (
    Fate,
    Plan,
    count_versions,
    fate_of_name,
    fate_of_versions,
    keys_stay,
    names_of,
    push_effects,
    push_facts,
    push_warnings,
    recoverable_until,
    vault_facts,
)
from keygroups.lifecycle import LIVE_STATES
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now


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
    obstacle = blockers.to_synchronize_all(group) if whole_group else blockers.to_synchronize(keys[0])
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
        facts=[(_("Keys"), names_of(keys)), *push_facts(group)] if keys else push_facts(group),
        effects=push_effects(group, count) if keys else [],
        warnings=push_warnings(group),
        obstacle=obstacle,
    )


def plan_rotate(group: KeyGroup) -> Plan:
    """Describe what a forced rotation does."""
    return Plan(
        title=_("Force rotation of %(group)s") % {"group": group.name},
        button=_("Force rotation"),
        back=group.get_absolute_url(),
        facts=push_facts(group),
        effects=[
            _("A new key is made in the HSM, named after the group and the time."),
            *push_effects(group, 1),
            _("“Last rotated” is set when all of that has succeeded."),
        ],
        warnings=push_warnings(group),
        obstacle=blockers.to_rotate(group),
    )


def plan_set_enabled(version: CloudVersion, *, enabled: bool) -> Plan:
    """Describe what enabling or disabling a version does."""
    key, group = version.key, version.group
    obstacle = blockers.to_enable(key) if enabled else blockers.to_disable(key)
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


def plan_delete(group: KeyGroup) -> Plan:
    """Describe what deleting the Azure key does: what survives, and until when."""
    vault = group.vault
    until = format_date(now() + timedelta(days=vault.recoverable_days or 90), "Y-m-d")
    outcome = {
        None: _("deleted; recoverable if the vault soft-deletes"),
        False: _("gone for good: the vault has no soft-delete"),
        True: _("deleted, recoverable until %(date)s") % {"date": until},
    }[vault.has_soft_delete]
    versions = Fate(count_versions(group, LIVE_STATES), outcome, "warning" if vault.has_soft_delete else "bad")
    return Plan(
        title=_("Delete %(key)s from %(vault)s") % {"key": group.azure_name, "vault": vault.name},
        button=_("Delete Azure key"),
        back=group.get_absolute_url(),
        facts=vault_facts(group),
        fates=[
            keys_stay(),
            versions,
            Fate(_("Applications that use the key"), _("stop working with it at once"), "bad"),
            Fate(_("The name “%(name)s”") % {"name": group.azure_name}, fate_of_name(vault), "neutral"),
        ],
        warnings=[_("Azure deletes a key with all its versions, never one alone.")],
        obstacle=blockers.to_delete(group),
        danger=True,
    )


def plan_recover(group: KeyGroup) -> Plan:
    """Describe what recovering the Azure key does."""
    return Plan(
        title=_("Recover %(key)s in %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Recover Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), recoverable_until(group))],
        effects=[_("The key comes back with all its versions, as they were when it was deleted.")],
        obstacle=blockers.to_recover(group),
    )


def plan_purge(group: KeyGroup) -> Plan:
    """Describe what purging the Azure key does."""
    return Plan(
        title=_("Purge %(key)s from %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Purge Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), recoverable_until(group))],
        fates=[
            keys_stay(),
            Fate(count_versions(group, ["soft_deleted"]), _("gone for good; nobody can recover them"), "bad"),
            Fate(_("The name “%(name)s”") % {"name": group.azure_name}, _("is free again"), "neutral"),
        ],
        warnings=[_("This can't be undone.")],
        obstacle=blockers.to_purge(group),
        typed=group.azure_name,
        danger=True,
    )


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
        obstacle=blockers.to_destroy(keys[0]) if count == 1 else "",
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
        obstacle=blockers.to_check_drift(group),
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
