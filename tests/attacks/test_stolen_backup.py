"""Somebody hands over a backup to restore that was made to run commands, fill the disk or slip something in."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import tarfile
from contextlib import closing

import pytest
from django.db import connection

from kmes.operations import archive, postgres_copy, sqlite_copy
from kmes.operations.manifest import BackupError, Manifest
from kmes.operations.restore import RestoreOptions, restore_backup
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]


def manifest(**changes) -> dict:
    """A manifest as this console writes it, but for what is changed."""
    return {
        "made_at": "2026-11-24T06:00:00+00:00",
        "version": "0.1.0",
        "vendor": connection.vendor,
        "has_token": False,
        "facts": {"migrations": [], "log_heads": {}, "devices": []},
        "parts": [],
        "tables": {},
        "format": 1,
        **changes,
    }


def part(name: str, content: bytes, **changes) -> dict:
    digest = archive.hashlib.sha256(content).hexdigest()
    return {"name": name, "size": len(content), "sha256": digest, **changes}


def write_backup(path, said: dict, members: dict[str, bytes]):
    """A plain backup with this manifest and these members."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"manifest.json": json.dumps(said).encode(), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def unpack(path, folder):
    folder.mkdir(exist_ok=True)
    return archive.unpack(path, folder, None)


def test_an_honest_backup_unpacks(tmp_path):
    content = b"rows"
    path = write_backup(tmp_path / "b", manifest(parts=[part("tables/one", content)]), {"tables/one": content})
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "tables" / "one").read_bytes() == content


# --- Sizes ----------------------------------------------------------------------------------
def test_a_small_file_that_declares_much_is_refused_before_anything_is_written(tmp_path):
    zeros = bytes(64 * 1024 * 1024)
    path = write_backup(tmp_path / "b", manifest(parts=[part("tables/one", zeros)]), {"tables/one": zeros})
    assert path.stat().st_size < 200_000
    with pytest.raises(BackupError, match="claims to hold"):
        unpack(path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


def test_a_member_larger_than_declared_is_refused_before_it_is_written(tmp_path):
    said = manifest(parts=[part("tables/one", b"x", size=1)])
    path = write_backup(tmp_path / "b", said, {"tables/one": bytes(8 * 1024 * 1024)})
    with pytest.raises(BackupError):
        unpack(path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("before_the_manifest", [True, False])
def test_a_header_that_takes_all_memory_is_refused(before_the_manifest, tmp_path):
    """An extended header of tar is read into memory as a whole."""
    bomb = tarfile.TarInfo("././@PaxHeader")
    bomb.type, bomb.size = tarfile.XHDTYPE, 256 * 1024 * 1024
    text = json.dumps(manifest()).encode()
    first = tarfile.TarInfo("manifest.json")
    first.size = len(text)
    packed = bytes(-len(text) % tarfile.BLOCKSIZE)
    with gzip.open(tmp_path / "b", "wb", compresslevel=1) as file:
        if not before_the_manifest:
            file.write(first.tobuf(tarfile.USTAR_FORMAT) + text + packed)
        file.write(bomb.tobuf(tarfile.USTAR_FORMAT))
        for _block in range(256):
            file.write(bytes(1024 * 1024))
    with pytest.raises(BackupError, match="more than its manifest says"):
        unpack(tmp_path / "b", tmp_path / "out")


# --- Names and types ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["../../etc/cron.d/x", "/etc/passwd", "tables/../../x", "tables/a/b", "token/" + "d/" * 9 + "x", "bin/x", "tables//x",
     "exports/.x", "a" * 300, "", "manifest.json", "tables/x\n"],
)  # fmt: skip
def test_a_part_of_a_strange_name_is_refused(name, tmp_path):
    path = write_backup(tmp_path / "b", manifest(parts=[part(name, b"x")]), {})
    with pytest.raises(BackupError, match="manifest can't be read"):
        archive.read_manifest(path, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": [part("secret_key", b"x", size=-1)]},
        {"parts": [part("secret_key", b"x", size="1")]},
        {"parts": [part("secret_key", b"x", size=10**30)]},
        {"parts": [part("secret_key", b"x", sha256="x")]},
        {"parts": [part("secret_key", b"x")] * 2},
        {"version": "\x1b[2J"},
        {"made_at": ["x"]},
        {"tables": {"accounts_user": [1]}},
        {"tables": []},
        {"facts": {"migrations": [["jobs", 1]], "log_heads": {}, "devices": []}},
        {"facts": {"migrations": [], "log_heads": {"audit": [1, "\x1b"]}, "devices": []}},
        {"facts": {}},
    ],
)
def test_a_manifest_that_is_not_as_the_console_writes_it_is_refused(changes):
    with pytest.raises(BackupError):
        Manifest.from_json(json.dumps(manifest(**changes)).encode())


def test_a_manifest_nested_without_end_is_refused():
    with pytest.raises(BackupError):
        Manifest.from_json(b'{"format":' + b"[" * 100_000)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_member_that_is_no_file_is_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "b", "w:gz") as tar:
        text = json.dumps(manifest(parts=[part("secret_key", b"")])).encode()
        first, link = tarfile.TarInfo("manifest.json"), tarfile.TarInfo("secret_key")
        first.size, link.type, link.linkname = len(text), kind, "/etc/passwd"
        tar.addfile(first, io.BytesIO(text))
        tar.addfile(link)
    with pytest.raises(BackupError):
        unpack(tmp_path / "b", tmp_path / "out")


# --- What the database would do ---------------------------------------------------------------
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW accounts_user AS SELECT 1",
        "CREATE TRIGGER helpful AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
    ],
)
def test_a_database_that_brings_its_own_schema_along_is_refused(sql, tmp_path):
    with closing(sqlite3.connect(tmp_path / sqlite_copy.FILE)) as copy:
        copy.execute("CREATE TABLE t (x)")
        copy.execute(sql)
    with pytest.raises(BackupError, match="does not make"), sqlite_copy.replaced(tmp_path):
        raise AssertionError("it was put into place")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / sqlite_copy.FILE).write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(BackupError, match="damaged"), sqlite_copy.replaced(tmp_path):
        raise AssertionError("it was put into place")


COMMAND = '"id") FROM PROGRAM \'touch {mark}\' --"'


@pytest.mark.django_db
def test_a_column_name_runs_no_command(tmp_path):
    if connection.vendor != "postgresql":
        # Only PostgreSQL's part puts names of columns into SQL.
        assert not hasattr(sqlite_copy, "_load")
        return
    mark = tmp_path / "mark"
    (tmp_path / postgres_copy.FOLDER).mkdir()
    (tmp_path / postgres_copy.FOLDER / "django_content_type").write_bytes(b"")
    for names in ([COMMAND.format(mark=mark)], ["id"], ["id", "app_label", "model", "model"], []):
        said = Manifest.from_json(json.dumps(manifest(tables={"django_content_type": names})).encode())
        with connection.cursor() as cursor, pytest.raises(BackupError, match="names other columns"):
            postgres_copy._load(cursor, tmp_path, said)
    assert not mark.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", [b"", b"short", b"k" * 5000, b"\xff" * 64, b"k" * 60 + b"\x00"])
def test_a_signing_key_that_could_be_guessed_is_refused(key, tmp_path):
    path = write_backup(tmp_path / "b", manifest(parts=[part("secret_key", key)]), {"secret_key": key})
    with pytest.raises(BackupError, match="signing key"):
        restore_backup(path, passphrase=None, options=RestoreOptions(with_device=False))
