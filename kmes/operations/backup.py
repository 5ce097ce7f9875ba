"""Makes a backup: database, signing key, software token, and exports if asked for, in one file.

The database is read in one snapshot while the console runs. The broker is left out, because it holds
hints only. The stand-in for Azure is left out, because it is not part of the installation.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.private_files import copy_plain_tree
from kmes.core.schema import Fit, check_fit
from kmes.core.secret_types import SecretText
from kmes.core.version import VERSION
from kmes.operations import archive, backup_signature, postgres_copy, sqlite_copy, token_copy
from kmes.operations.manifest import BackupError, DeviceFacts, Facts, Manifest
from logging_reports import export_files
from logging_reports.services import record

SECRET_KEY = "secret_key"  # noqa: S105 - the part's name
EXPORTS = "exports"
# Runs a query and returns all its rows.
Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class BackupResult:
    """What was written: path, SHA-256, manifest, and the fingerprint of the key that signed it, "" where none did."""

    path: Path
    sha256: str
    manifest: Manifest
    signed_by: str


def make_backup(
    path: Path,
    *,
    passphrase: SecretText | None,
    with_token: bool = True,
    with_exports: bool = False,
    with_signature: bool = True,
) -> BackupResult:
    """Write a backup of this installation and log it.

    Without ``passphrase`` the file is not encrypted, and its reader has all of its content. Without a signature
    nothing shows later who made it.

    Raises:
        BackupError: the database is of another release, can't be copied, the device can't sign, or the file can't be
            written.

    """
    if check_fit() != Fit.OK:
        raise BackupError(
            _("The database is not of this release (%(version)s).") % {"version": VERSION},
            _("Make the backup with the release that the database is of, or migrate first."),
        )
    made = write_backup(
        path,
        passphrase=passphrase,
        with_token=with_token,
        with_exports=with_exports,
        sign=backup_signature.sign if with_signature else None,
    )
    try:
        _record(made, encrypted=passphrase is not None)
    except BaseException:
        # A backup without a log row must not remain on disk.
        path.unlink(missing_ok=True)
        raise
    return made


def write_backup(
    path: Path,
    *,
    passphrase: SecretText | None,
    with_token: bool = True,
    with_exports: bool = False,
    sign: Callable[[bytes], bytes] | None = None,
) -> BackupResult:
    """Write the file without a log row; ``make_backup`` adds it. ``sign`` makes the signature of the manifest.

    Raises:
        BackupError: the database can't be copied, or the file can't be written.

    """
    with tempfile.TemporaryDirectory(prefix="kmes-backup-") as name:
        folder = Path(name)
        facts, tables = _copy_database(folder)
        has_token = with_token and token_copy.is_software()
        if has_token:
            token_copy.copy_out(folder)
        _write_secret_key(folder)
        if with_exports and settings.KMES_EXPORT_DIR.is_dir():
            copy_plain_tree(settings.KMES_EXPORT_DIR, folder / EXPORTS, is_wanted=export_files.is_export)
        manifest = Manifest(
            made_at=now().isoformat(),
            version=VERSION,
            vendor=connection.vendor,
            has_token=has_token,
            facts=facts,
            parts=archive.describe(folder),
            tables=tables,
        )
        content = manifest.to_json()
        signature = sign(content) if sign else b""
        digest = archive.pack(path, folder, content, manifest.parts, signature=signature, passphrase=passphrase)
    return BackupResult(path, digest, manifest, backup_signature.verify(signature, content) if signature else "")


def _record(made: BackupResult, *, encrypted: bool) -> None:
    record(
        "backup.made",
        actor=SYSTEM,
        message=f"Backup {made.path.name} made",
        data={
            "file": made.path.name,
            "sha256": made.sha256,
            "encrypted": encrypted,
            "token": made.manifest.has_token,
            "signed_by": f"sha256:{made.signed_by}" if made.signed_by else "",
            "logs": {service: head[0] for service, head in made.manifest.facts.log_heads.items()},
        },
    )


def _write_secret_key(folder: Path) -> None:
    descriptor = os.open(folder / SECRET_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write(settings.SECRET_KEY)


def _copy_database(folder: Path) -> tuple[Facts, dict[str, list[str]]]:
    if connection.vendor == "sqlite":
        with closing(sqlite_copy.copy_out(folder)) as copy:
            return read_facts(lambda query: copy.execute(query).fetchall()), {}
    with postgres_copy.snapshot() as cursor:

        def ask(query: str) -> list[tuple[Any, ...]]:
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

        tables = postgres_copy.copy_out(cursor, folder)
        return read_facts(ask), tables


def read_facts(ask: Ask) -> Facts:
    """Read the manifest's facts from a database, in SQL that SQLite and PostgreSQL both accept."""
    heads = ask("SELECT service, sequence, hash FROM logging_reports_loghead ORDER BY service")
    devices = ask("SELECT serial, label, pmk_kcv, mfk_kcv, is_designated FROM hsm_hsmdevice ORDER BY serial")
    return Facts(
        migrations=tuple((app, name) for app, name in ask("SELECT app, name FROM django_migrations ORDER BY id")),
        log_heads={service: (sequence, digest) for service, sequence, digest in heads},
        devices=tuple(
            DeviceFacts(serial, label, pmk, mfk, bool(chosen)) for serial, label, pmk, mfk, chosen in devices
        ),
    )
