"""Stops a push before it puts a version into an Azure key that somebody else made: whether to adopt it is asked first."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import DeletedKey, VaultKey, VersionInfo
from jobs.engine.run import JobRun
from jobs.kinds.observations import seen_of
from jobs.kinds.push.imports import record_versions
from keygroups import azure_names, drift
from keygroups.choices import ENDED_VERSION_STATES
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError

NAME_TAKEN = "name_taken"
# Of a key with very many versions, so many of the newest are read.
VERSIONS_READ = 100


def refuse_taken_name(run: JobRun, gateway: VaultGateway, group: KeyGroup, versions: list[VersionInfo]) -> None:
    """Refuse a live Azure key of which no version was made or adopted here. What stands there is recorded for the page.

    Raises:
        ConflictError: the key is somebody else's (code ``name_taken``). No schedule adopts it.

    """
    if not azure_names.is_taken(group, [version.version for version in versions]):
        return
    read = [gateway.get_key(group.azure_name, version.version) for version in versions[-VERSIONS_READ:]]
    bundles = [bundle for bundle in read if bundle is not None]
    if _adopt_ours(run, group, bundles):
        return
    with run.write() as tx:
        for bundle in bundles:
            drift.observe(group, None, seen_of(bundle))
        drift.recount(group)
        rows = azure_names.list_strangers(group)
        text = _("Blocked: the vault %(vault)s holds a key “%(key)s” that this console did not make. %(versions)s.") % {
            "vault": group.vault.name,
            "key": group.azure_name,
            "versions": azure_names.describe_strangers(rows),
        }
        tx.log("azure.name_taken", text)
    raise ConflictError(
        text,
        _(
            "Adopt the Azure key knowingly, on the job's page: what is pushed then becomes its current version for all "
            "who use it. Or edit the key group and choose another Azure key name."
        ),
        code=NAME_TAKEN,
    )


def _adopt_ours(run: JobRun, group: KeyGroup, bundles: list[VaultKey]) -> bool:
    """Record versions that hold keys of this group and have no row, such as after a restored backup."""
    held = set(group.cloud_versions.exclude(state__in=ENDED_VERSION_STATES).values_list("key_id", flat=True))
    keys = {bytes(key.public_spki): key for key in group.keys.all()}
    ours = [(keys[bundle.public_spki], bundle) for bundle in bundles if bundle.public_spki in keys]
    for key, bundle in ours:
        if key.pk in held:
            continue
        held.add(key.pk)
        with run.write() as tx:
            record_versions(tx, [(key, bundle)])
            text = _("Version %(version)s holds key %(key)s of this console; it is known again")
            tx.add_message(text % {"version": bundle.version, "key": key.name})
    return bool(ours)


def deleted_name(group: KeyGroup, deleted: DeletedKey) -> ConflictError:
    """Return the error of a name that a deleted key takes: ours can be recovered or purged here, another can't."""
    if group.cloud_versions.exclude(azure_version="").exists() or group.adopted_versions:
        return ConflictError(
            _("The Azure key “%(key)s” is deleted but recoverable, so its name can't be used.")
            % {"key": group.azure_name},
            _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
        )
    since = f"{deleted.deleted_on:%Y-%m-%d %H:%M} UTC" if deleted.deleted_on else _("unknown")
    until = f"{deleted.scheduled_purge_on:%Y-%m-%d}" if deleted.scheduled_purge_on else _("unknown")
    return ConflictError(
        _(
            "Blocked: a key “%(key)s” that this console did not make is among the vault's deleted keys (deleted: "
            "%(since)s, kept until: %(until)s), so its name can't be used."
        )
        % {"key": group.azure_name, "since": since, "until": until},
        _("Edit the key group and choose another Azure key name, or have the key's owner recover or purge it."),
        code=NAME_TAKEN,
    )
