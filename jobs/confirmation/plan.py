"""What the plans of all jobs are made of: their shape, facts on keys and vaults, and what becomes of things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.template.defaultfilters import date as format_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.kek_shapes import first_shape
from cloudcreds.models import CloudCredential, KeyVault
from keygroups.azure_names import is_known_to_be_taken
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.selectors import count_strangers
from keygroups.vault_rules import why_refused

NAMES_SHOWN = 10
# As the connection test names them (docs/console.md#azure-side).
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


def push_facts(group: KeyGroup) -> list[tuple[str, str]]:
    """Return what is known of a push: where it goes, under which key, with which permissions, for how long."""
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
    shape = first_shape(group.vault, group.spec.kek_bits)
    return _("kmes-kek-…, named after the job: %(shape)s; may only import, deleted after use") % {"shape": shape}


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
    found = why_refused(group)
    if group.differences and is_known_to_be_taken(group):
        found.append(
            _(
                "The vault holds a key “%(key)s” that this console did not make. The job stops before it changes anything, "
                "and asks whether to adopt that key."
            )
            % {"key": group.azure_name}
        )
    if group.credential.last_test_ok is False:
        found.append(_("The last connection test of this credential failed: a permission may be missing."))
    if group.spec.is_rsa and group.spec.bits > 3072:
        found.append(_("Azure SQL takes RSA keys of 2048 or 3072 bits only."))
    if not group.spec.is_rsa:
        found.append(
            _("Azure SQL, disk encryption and storage take RSA keys only; this one serves applications of your own.")
        )
    return found


def push_effects(group: KeyGroup, count: int) -> list[str]:
    """Return what a push does, in order."""
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
        _("The newest version becomes active; older ones stay in the vault as superseded.")
        if group.enabled_on_push
        else arrives_disabled([group]),
        _("The KEK is deleted, and purged where the vault soft-deletes."),
    ]


def demotion_warnings(group: KeyGroup, keys: Sequence[Key]) -> list[str]:
    """Say which key becomes current, and which newer one no longer is, where keys are pushed after a newer key."""
    live = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES)
    current = live.select_related("key").defer("key__wrapped_private").order_by("-ordinal").first()
    last = max(keys, key=lambda key: (key.created_at, key.name), default=None)
    if current is None or last is None or current.key.created_at <= last.created_at:
        return []
    return [
        _(
            "“%(older)s” becomes the current version of “%(name)s”. “%(newer)s”, which is newer, no longer is: whoever "
            "names the key without a version gets “%(older)s”. To keep the newest key current, force a rotation instead."
        )
        % {"older": last.name, "name": group.azure_name, "newer": current.key.name}
    ]


def arrives_disabled(groups: Sequence[KeyGroup]) -> str:
    """Say what a push into groups with “Enabled on push” off leaves without an active version."""
    return _(
        "What is pushed to %(groups)s arrives disabled, because “Enabled on push” is off: the group has no active "
        "version until one is enabled, and whoever names the key without a version can't use it."
    ) % {"groups": ", ".join(f"“{group.name}”" for group in groups)}


def count_versions(group: KeyGroup, states: Sequence[str]) -> str:
    """Return how many versions the vault holds, in words: those of the group in these states, and those made elsewhere."""
    foreign = count_strangers(group)
    count = group.cloud_versions.filter(state__in=states).count() + foreign
    text = ngettext("%(count)d version in the vault", "%(count)d versions in the vault", count) % {"count": count}
    if not foreign:
        return text
    made = ngettext("%(count)d of them not made here", "%(count)d of them not made here", foreign) % {"count": foreign}
    return f"{text}, {made}"


def keys_stay() -> Fate:
    """Say that the keys here outlive the Azure key."""
    return Fate(_("Keys here, in the HSM's keeping"), _("stay, and can be synchronized again"), "good")


def recoverable_until(group: KeyGroup) -> str:
    """Return until when a deleted Azure key can be recovered, in words."""
    return format_date(group.scheduled_purge_at, "Y-m-d H:i") + " UTC" if group.scheduled_purge_at else _("unknown")


def fate_of_versions(keys: Sequence[Key]) -> Fate:
    """Say that what stands in the vault outlives the material here."""
    in_vault = CloudVersion.objects.filter(key__in=[key.pk for key in keys], state__in=LIVE_VERSION_STATES).count()
    versions = ngettext("%(count)d version in the vault", "%(count)d versions in the vault", in_vault)
    return Fate(versions % {"count": in_vault}, _("stay as they are: the vault is not touched"), "good")
