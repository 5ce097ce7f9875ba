"""Restores a backup completely or not at all.

Order: check who signed the manifest; unpack and check every hash; refuse a backup that can't be restored here; put
the token into place and compare the device's check values; load the database; migrate it; verify the logs' chains and
compare their ends with the manifest; hold scheduled rotations, because the vaults have changed since. After a failure
at any step the installation is as it was before.
"""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils.translation import gettext as _

from hsm.device import get_device
from hsm.pinning import pin_device, public_keys_of, record_pinned, refuse_strange_keys
from jobs.choices import HoldReason
from jobs.schedule import clock_guard
from kmes.core.actor import SYSTEM
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, read_pinned
from kmes.core.private_files import copy_private
from kmes.core.public_keys import fingerprint
from kmes.core.secret_types import SecretText
from kmes.core.version import VERSION
from kmes.operations import archive, backup, postgres_copy, sqlite_copy, token_copy
from kmes.operations.manifest import BackupError, Manifest
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record
from logging_reports.verification import Verdict, find_trigger_faults, verify_checkpoints, verify_service

# Django warns of a signing key that is shorter than this many characters (security.W009).
SHORTEST_SECRET_KEY, LONGEST_SECRET_KEY = 50, 1024


@dataclass(frozen=True)
class RestoreOptions:
    """What a restore replaces and checks."""

    replace: bool = False
    with_token: bool = True
    with_device: bool = True
    pin_new_keys: bool = False
    # Fingerprints of keys that may have signed, in addition to the pinned ones.
    keys: frozenset[str] = frozenset()
    accept_unsigned: bool = False


@dataclass(frozen=True)
class RestoreResult:
    """What was restored, and notes for the operator on what could not be."""

    manifest: Manifest
    rows: dict[str, int]
    notes: tuple[str, ...]


def restore_backup(path: Path, *, passphrase: SecretText | None, options: RestoreOptions) -> RestoreResult:
    """Replace this installation's state by a backup's.

    Raises:
        BackupError: the backup can't be restored here; the text says why.
        SealedFileError: it does not open.

    """
    with tempfile.TemporaryDirectory(prefix="kmes-restore-") as name:
        folder = Path(name)
        head = archive.unpack(path, folder, passphrase, check=lambda found: check_signer(found, options))
        manifest = head.manifest
        check_manifest(manifest)
        _read_secret_key(folder)
        _check_target(options)
        with ExitStack() as stack:
            if manifest.has_token and options.with_token:
                stack.enter_context(token_copy.put_in_place(folder, replace=options.replace))
            own = _check_device(manifest, options) if options.with_device else {}
            stack.enter_context(_database_replaced(folder, manifest))
            call_command("migrate", interactive=False, verbosity=0)
            verdicts = _verify(manifest, own, options)
            _record(path, head)
            clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
            record_pinned(serial=str(manifest.device), fingerprints=pin_device(own, also_new=options.pin_new_keys))
        notes = [*_restore_secret_key(folder), *_restore_exports(folder)]
        notes += [f"{use.value} key sha256:{fingerprint(spki)}" for use, spki in own.items()]
    if not head.signed_by:
        notes.append(_("Warning: nobody signed this backup, so nothing shows who made it. The Audit log says so."))
    if not options.with_device:
        notes.append(token_copy.statement(manifest.device, has_token=False))
    return RestoreResult(manifest, {verdict.service: verdict.rows for verdict in verdicts}, tuple(notes))


def check_signer(head: archive.Head, options: RestoreOptions) -> None:
    """Refuse a backup that no trusted key signed.

    Trusted are the keys that the operator names and the pinned ones; where there are none, that of a device which
    the backup does not bring along itself.

    Raises:
        BackupError: nobody signed it, and that was not asked for; or the key is not trusted.

    """
    if not head.signed_by:
        if options.accept_unsigned:
            return
        raise BackupError(
            _("The backup is not signed, so nothing shows who made it."),
            _(
                "Restore a signed one. If an earlier release made it, or --unsigned did, and you know where the file has"
                " been since, add --accept-unsigned."
            ),
        )
    trusted = trusted_signers(head.manifest, options)
    if head.signed_by in trusted:
        return
    if not trusted:
        raise BackupError(
            _("The backup is signed by the key sha256:%(key)s, and no key is pinned here to compare it with.")
            % {"key": head.signed_by},
            _(
                "Compare it with the checkpoint key that hsm_init printed where the backup was made. If it is the same,"
                " add --key sha256:%(key)s"
            )
            % {"key": head.signed_by},
        )
    raise BackupError(
        _("The backup is signed by the key sha256:%(key)s, which is not trusted here.") % {"key": head.signed_by},
        _(
            "Nothing was restored. If it is a backup of another installation of yours, name that one's checkpoint key with"
            " --key, as its hsm_init printed it."
        ),
    )


def trusted_signers(manifest: Manifest, options: RestoreOptions) -> frozenset[str]:
    """Return the fingerprints of the keys that may have signed a backup; empty where none is known.

    Raises:
        PinnedKeysError: the file of pinned keys can't be read.

    """
    known = options.keys.union(read_pinned(KeyUse.CHECKPOINT))
    brings_device = manifest.has_token and options.with_token
    if known or brings_device or not options.with_device:
        return known
    try:
        return frozenset({fingerprint(get_device().checkpoint_public_spki())})
    except DeviceError:
        return known


def _check_device(manifest: Manifest, options: RestoreOptions) -> dict[KeyUse, bytes]:
    """Compare the device's keys with the backup's and with the pinned ones. Return them, to be pinned in the end.

    Raises:
        BackupError: the device can't be asked, or has other major keys.
        DeviceError: other keys are pinned here, and new ones are not to be.

    """
    if manifest.device is None:
        return {}
    token_copy.check_device(manifest)
    own = public_keys_of(get_device())
    if not options.pin_new_keys:
        refuse_strange_keys(own)
    return own


def check_manifest(manifest: Manifest) -> None:
    """Refuse a backup of a newer release, or of another kind of database.

    Raises:
        BackupError: it can't be restored by this code.

    """
    if manifest.vendor != connection.vendor:
        raise BackupError(
            _("The backup was made of %(theirs)s; this installation uses %(ours)s.")
            % {"theirs": manifest.vendor, "ours": connection.vendor},
            _("Set DATABASE_URL to a database of the same kind."),
        )
    known = MigrationLoader(None).disk_migrations
    if newer := [f"{app}.{name}" for app, name in manifest.facts.migrations if (app, name) not in known]:
        raise BackupError(
            _(
                "The backup was made by release %(version)s, which is newer than this one (%(ours)s): "
                "its migration %(migration)s is unknown here."
            )
            % {"version": manifest.version, "ours": VERSION, "migration": newer[0]},
            _("Install release %(version)s or later, then restore.") % {"version": manifest.version},
        )


def _check_target(options: RestoreOptions) -> None:
    if sqlite_copy.in_use() or (connection.vendor == "postgresql" and postgres_copy.in_use()):
        raise BackupError(
            _("The installation is running: other processes use its state."),
            _("Stop all of its processes (Ctrl-C, or docker compose stop), then restore."),
        )
    empty = sqlite_copy.is_empty() if connection.vendor == "sqlite" else postgres_copy.is_empty()
    if not empty and not options.replace:
        raise BackupError(
            _("This installation holds data already."),
            _("Make a backup of it, then add --replace; or restore into an empty one."),
        )


def _database_replaced(folder: Path, manifest: Manifest) -> AbstractContextManager[None]:
    if connection.vendor == "sqlite":
        return sqlite_copy.replaced(folder)
    if connection.vendor == "postgresql":
        return postgres_copy.replaced(folder, manifest)
    return nullcontext()


def _verify(manifest: Manifest, own: dict[KeyUse, bytes], options: RestoreOptions) -> list[Verdict]:
    """Verify every log and its checkpoints, and compare its last row with the manifest.

    Raises:
        BackupError: a chain is broken or has another end, a key that is not trusted here signed it, or the triggers of
            the log are not as this release installs them.

    """
    verdicts = [verify_service(service) for service in Service]
    for verdict in verdicts:
        if verdict.first_break is not None:
            raise BackupError(
                _("The %(log)s log of the backup was tampered with at row %(row)d: %(reason)s")
                % {
                    "log": verdict.service,
                    "row": verdict.first_break.sequence,
                    "reason": verdict.first_break.reason,
                },
                _("Nothing was restored. Keep this backup as evidence and restore an earlier one."),
            )
        sequence, digest = manifest.facts.log_heads.get(verdict.service, (0, verdict.head_hash))
        end = LogEntry.objects.filter(service=verdict.service, sequence=sequence).values_list("hash", flat=True).first()
        if verdict.rows < sequence or (sequence and end != digest):
            raise BackupError(_("The %(log)s log does not end where the backup says.") % {"log": verdict.service})
    trusted = set(options.keys.union(read_pinned(KeyUse.CHECKPOINT)))
    if not trusted and KeyUse.CHECKPOINT in own:
        trusted.add(fingerprint(own[KeyUse.CHECKPOINT]))
    if faults := verify_checkpoints(trusted=trusted).faults:
        raise BackupError(
            _("The checkpoints of the backup's log are not genuine: %(fault)s.") % {"fault": faults[0]},
            _("Nothing was restored. If the device was exchanged, pin the former key too (manage.py hsm_init)."),
        )
    if missing := find_trigger_faults():
        raise BackupError(_("The log is not guarded as it should be: %(fault)s.") % {"fault": missing[0]})
    return verdicts


def _record(path: Path, head: archive.Head) -> None:
    manifest = head.manifest
    unsigned = "" if head.signed_by else "; nobody signed it"
    record(
        "backup.restored",
        actor=SYSTEM,
        message=f"Backup {path.name} of {manifest.made_at[:19].replace('T', ' ')} UTC restored{unsigned}",
        data={
            "file": path.name,
            "made_at": manifest.made_at,
            "version": manifest.version,
            "signed_by": f"sha256:{head.signed_by}" if head.signed_by else "",
        },
    )


def _restore_secret_key(folder: Path) -> list[str]:
    """Write the signing key to its file, unless this installation already has the same key."""
    wanted = _read_secret_key(folder)
    if wanted == settings.SECRET_KEY:
        return []
    path = Path(settings.KMES_SECRET_KEY_FILE)
    temporary = path.with_name(f".{path.name}.restored")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        temporary.touch(mode=0o600)
        temporary.write_text(wanted)
        temporary.replace(path)
    except OSError:
        return [
            _("The signing key could not be written to %(path)s: what was signed with it no longer holds.")
            % {"path": path}
        ]
    return []


def _read_secret_key(folder: Path) -> str:
    """Return the signing key of a backup.

    Raises:
        BackupError: it is none, or so short that it could be guessed.

    """
    try:
        found = (folder / backup.SECRET_KEY).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(_("The backup holds no signing key.")) from error
    if not (SHORTEST_SECRET_KEY <= len(found) <= LONGEST_SECRET_KEY) or not found.isprintable():
        raise BackupError(_("The signing key of the backup is not one that this console makes."))
    return found


def _restore_exports(folder: Path) -> list[str]:
    source = folder / backup.EXPORTS
    if not source.is_dir():
        return []
    try:
        settings.KMES_EXPORT_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in source.iterdir():
            with path.open("rb") as found:
                # Whoever owns the folder may have put a link of this name into it.
                copy_private(found, settings.KMES_EXPORT_DIR / path.name, mode=0o644)
    except OSError as error:
        return [
            _("The exports could not be written to %(path)s: %(reason)s.")
            % {"path": settings.KMES_EXPORT_DIR, "reason": error.strerror}
        ]
    return []
