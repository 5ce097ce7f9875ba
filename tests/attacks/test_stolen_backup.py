"""Somebody hands over a backup that was forged, or made to run commands, fill the disk or slip something in."""

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

from kmes.operations import archive, backup_signature, postgres_copy, sqlite_copy
from kmes.operations.manifest import BackupError, Manifest
from kmes.operations.restore import RestoreOptions, check_signer, restore_backup
from logging_reports.anchors import Anchor
from tests.logging_reports.harness import log_can_be_flushed
from tests.logging_reports.signer import Signer

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


def write_backup(path, said: dict, members: dict[str, bytes], *, renamed: dict[str, str] | None = None):
    """A plain backup with this manifest and these members."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"manifest.json": json.dumps(said).encode(), **members}.items():
            member = tarfile.TarInfo((renamed or {}).get(name, name))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def unpack(path, folder):
    folder.mkdir(exist_ok=True)
    return archive.unpack(path, folder, None, check=lambda _head: None)


def test_an_honest_backup_unpacks(tmp_path):
    content = b"rows"
    path = write_backup(tmp_path / "b", manifest(parts=[part("tables/one", content)]), {"tables/one": content})
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "tables" / "one").read_bytes() == content


# --- Who made it ----------------------------------------------------------------------------
ROWS, FORGED = b"rows of this console", b"rows of a stranger !"
SAID = manifest(format=2, parts=[part("tables/one", ROWS), part("tables/two", ROWS)])
MEMBERS = {"tables/one": ROWS, "tables/two": ROWS}


@pytest.fixture
def signer():
    """The key that set-up pinned."""
    return Signer()


def sign(signer, said=SAID, *, text="") -> bytes:
    text = text or backup_signature.write_text(json.dumps(said).encode(), signer.key)
    return Anchor(text, signer.sign(text), signer.public_key).to_file().encode()


def restore(tmp_path, signature: bytes | None, *, said=SAID, members=MEMBERS, **options):
    """Unpack a plain backup with these members as a restore does; return the unpacked names."""
    signed = {} if signature is None else {backup_signature.NAME: signature}
    path, folder = write_backup(tmp_path / "b", said, {**signed, **members}), tmp_path / "out"
    folder.mkdir()
    asked = RestoreOptions(**{"with_device": False, **options})
    archive.unpack(path, folder, None, check=lambda head: check_signer(head, asked))
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def refused(tmp_path, words, *arguments, **options):
    """A backup is refused, and no part of it is unpacked."""
    with pytest.raises(BackupError, match=words):
        restore(tmp_path, *arguments, **options)
    assert not list((tmp_path / "out").rglob("*"))


def test_a_backup_of_the_pinned_key_is_taken(tmp_path, signer):
    assert restore(tmp_path, sign(signer)) == ["one", "two"]


def test_a_backup_without_its_signature_is_refused_unless_asked_for(tmp_path, signer):
    refused(tmp_path, "not signed", None)
    (tmp_path / "out").rmdir()
    refused(tmp_path, "not signed", None, said=manifest(format=1, parts=SAID["parts"]))
    (tmp_path / "out").rmdir()
    assert restore(tmp_path, None, accept_unsigned=True) == ["one", "two"]


@pytest.mark.parametrize("accept_unsigned", [False, True])
def test_a_backup_signed_by_another_key_is_refused(accept_unsigned, tmp_path, signer):
    stranger = Signer(is_pinned=False)
    refused(tmp_path, f"{stranger.key}, which is not trusted", sign(stranger), accept_unsigned=accept_unsigned)


def test_a_key_that_the_operator_names_is_trusted(tmp_path, signer):
    other = Signer(is_pinned=False)
    assert restore(tmp_path, sign(other), keys=frozenset({other.key})) == ["one", "two"]


def test_where_nothing_is_pinned_the_token_in_the_backup_vouches_for_nothing(tmp_path):
    said = {**SAID, "has_token": True}
    refused(tmp_path, "no key is pinned here", sign(Signer(is_pinned=False), said), said=said, with_device=True)


def test_a_manifest_that_was_exchanged_is_refused(tmp_path, signer):
    said = manifest(format=2, parts=[part("tables/one", FORGED)])
    refused(tmp_path, "another manifest", sign(signer), said=said, members={"tables/one": FORGED})


def test_a_signature_by_a_stranger_in_the_name_of_the_pinned_key_is_refused(tmp_path, signer):
    stranger, text = Signer(is_pinned=False), backup_signature.write_text(json.dumps(SAID).encode(), signer.key)
    refused(tmp_path, "not the one that the text names", sign(stranger, text=text))
    (tmp_path / "out").rmdir()
    refused(tmp_path, "not genuine", Anchor(text, stranger.sign(text), signer.public_key).to_file().encode())


@pytest.mark.parametrize("first_line", ["kmes-checkpoint/v1", "kmes-handover/v1", "kmes-backup/v2"])
def test_what_the_key_signed_for_another_purpose_is_no_signature_of_a_backup(first_line, tmp_path, signer):
    text = backup_signature.write_text(json.dumps(SAID).encode(), signer.key)
    refused(tmp_path, "not the text of a backup", sign(signer, text=text.replace("kmes-backup/v1", first_line)))


@pytest.mark.parametrize("content", [b"", b"x" * 100_000, b"\xff" * 40, b"signature\n"])
def test_a_signature_that_is_none_is_refused(content, tmp_path, signer):
    refused(tmp_path, "not genuine|not signed", content)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"tables/one": FORGED, "tables/two": ROWS}, "not what its manifest says"),
        ({"tables/one": ROWS, "tables/two": ROWS, "tables/three": ROWS}, "does not name"),
        ({"tables/one": ROWS}, "lacks a part"),
        ({"tables/one": ROWS, "tables/two": ROWS, "manifest.sig": b"x"}, "does not name"),
        ({"tables/one": ROWS + b"!", "tables/two": ROWS}, "does not name"),
    ],
)
def test_members_that_are_not_those_that_were_signed_are_refused(members, words, tmp_path, signer):
    # A second member of the signature's name stands behind the parts.
    genuine = {backup_signature.NAME + ".genuine": sign(signer)}
    path = write_backup(tmp_path / "b", SAID, {**genuine, **members}, renamed={next(iter(genuine)): "manifest.sig"})
    (tmp_path / "out").mkdir()
    with pytest.raises(BackupError, match=words):
        archive.unpack(path, tmp_path / "out", None, check=lambda head: check_signer(head, RestoreOptions()))


def test_a_file_that_was_cut_is_refused(tmp_path, signer):
    path = write_backup(tmp_path / "b", SAID, {backup_signature.NAME: sign(signer), **MEMBERS})
    whole = path.read_bytes()
    for length in range(20, len(whole) - 8, 97):
        path.write_bytes(whole[:length])
        folder = tmp_path / str(length)
        folder.mkdir()
        with pytest.raises(BackupError):
            archive.unpack(path, folder, None, check=lambda head: check_signer(head, RestoreOptions()))


@pytest.mark.django_db
def test_a_forged_backup_is_refused_before_the_installation_is_touched(tmp_path, signer):
    said = manifest(format=2, parts=[part("secret_key", b"k" * 60)])
    stranger = Signer(is_pinned=False)
    path = write_backup(tmp_path / "b", said, {backup_signature.NAME: sign(stranger, said), "secret_key": b"k" * 60})
    with pytest.raises(BackupError, match="not trusted here"):
        restore_backup(path, passphrase=None, options=RestoreOptions(replace=True))


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
        archive.read_head(path, None)


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
        restore_backup(path, passphrase=None, options=RestoreOptions(with_device=False, accept_unsigned=True))
