"""The backup file itself: it opens whole or not at all."""

from __future__ import annotations

import io
import tarfile

import pytest
from django.db import connection

from kmes.core.secret_types import SecretText
from kmes.operations import archive
from kmes.operations.manifest import BackupError, DeviceFacts, Facts, Manifest
from kmes.operations.restore import check_manifest
from kmes.operations.sealed_file import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    OpeningReader,
    SealedFileError,
    SealingWriter,
    read_passphrase,
)

SECRET = SecretText("a passphrase of the tests")


def sealed(content: bytes) -> bytes:
    target = io.BytesIO()
    writer = SealingWriter(target, SECRET)
    writer.write(content)
    writer.close()
    return target.getvalue()


def opened(content: bytes, secret=SECRET) -> bytes:
    return OpeningReader(io.BytesIO(content), secret).readall()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_was_sealed_opens_to_the_same_bytes(size):
    content = bytes(index % 251 for index in range(size))
    assert opened(sealed(content)) == content


def test_another_passphrase_opens_nothing():
    with pytest.raises(SealedFileError, match="passphrase is another one"):
        opened(sealed(b"x"), SecretText("another passphrase"))


def test_a_file_that_was_cut_changed_reordered_or_prolonged_does_not_open():
    whole = sealed(b"k" * (3 * CHUNK_BYTES))
    chunk = CHUNK_BYTES + TAG_BYTES
    first, second = whole[HEADER_BYTES : HEADER_BYTES + chunk], whole[HEADER_BYTES + chunk : HEADER_BYTES + 2 * chunk]
    broken = [
        whole[:-chunk],
        whole[:-1],
        whole + b"\0",
        whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        whole[:HEADER_BYTES] + second + first + whole[HEADER_BYTES + 2 * chunk :],
        # The header's salt and prefix are authenticated by every chunk.
        whole[:9] + bytes([whole[9] ^ 1]) + whole[10:],
    ]
    for content in broken:
        with pytest.raises(SealedFileError):
            opened(content)


def test_a_header_may_not_ask_for_all_the_memory():
    with pytest.raises(SealedFileError, match="not an encrypted backup"):
        opened(b"KMESBAK1" + bytes([40]) + bytes(100))


@pytest.mark.parametrize(
    ("mode", "text", "words"), [(0o644, "long enough for it", "0644"), (0o600, "short", "shorter")]
)
def test_a_passphrase_others_can_read_or_guess_is_refused(tmp_path, mode, text, words):
    path = tmp_path / "p"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(SealedFileError, match=words):
        read_passphrase(path)


def manifest(folder) -> Manifest:
    facts = Facts(
        (("jobs", "0001_initial"),), {"audit": (3, "ab" * 32)}, (DeviceFacts("S-1", "KMES", "A1", "B2", True),)
    )
    return Manifest("2026-11-24T00:00:00+00:00", "0.1.0", "sqlite", False, facts, archive.describe(folder))


@pytest.fixture
def packed(tmp_path):
    """Pack one part; returns the archive and where it was made from."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "secret_key").write_text("key")

    def pack(secret=None):
        made = manifest(folder)
        archive.pack(tmp_path / "b", folder, made.to_json(), made.parts, signature=b"", passphrase=secret)
        return tmp_path / "b"

    return pack


@pytest.mark.parametrize("secret", [None, SECRET])
def test_an_archive_gives_its_manifest_and_parts_back(packed, tmp_path, secret):
    file, target = packed(secret), tmp_path / "out"
    target.mkdir()
    seen = []
    head = archive.unpack(file, target, secret, check=seen.append)
    assert [head] == seen == [archive.read_head(file, secret)]
    assert head.manifest.device.pmk_check_value == "A1"
    assert (target / "secret_key").read_text() == "key"


def rewrite(file, change):
    """Pack an archive anew with its members changed."""
    with tarfile.open(file) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(file, "w:gz") as tar:
        for name, content in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: members[:1], "lacks a part"),
        (lambda members: [members[0], ("secret_key", b"yek")], "not what its manifest says"),
        (lambda members: [*members, ("../evil", b"x")], "does not name"),
        (lambda members: [*members, members[1]], "does not name"),
        (lambda members: members[1:], "does not begin with a manifest"),
        (lambda members: [("manifest.json", b"{}"), members[1]], "manifest can't be read"),
        (lambda members: [("manifest.json", members[0][1].replace(b'"format": 2', b'"format": 9'))], "format 9"),
        (
            lambda members: [
                ("manifest.json", members[0][1].replace(b"secret_key", b"../../evil")),
                ("../../evil", b"key"),
            ],
            "manifest can't be read",
        ),
    ],
)
def test_an_archive_that_is_not_as_its_manifest_says_is_refused(packed, tmp_path, change, words):
    file, target = packed(), tmp_path / "out"
    target.mkdir()
    rewrite(file, change)
    with pytest.raises(BackupError, match=words):
        archive.unpack(file, target, None, check=lambda _head: None)
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"KMESBAK1"])
def test_a_file_that_is_no_backup_is_said_to_be_none(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises((BackupError, SealedFileError)):
        archive.read_head(tmp_path / "f", SECRET)


def test_an_encrypted_backup_asks_for_its_passphrase(packed):
    with pytest.raises(BackupError, match="passphrase-file"):
        archive.read_head(packed(SECRET), None)


@pytest.mark.django_db
def test_a_backup_of_a_newer_release_is_refused(tmp_path):
    facts = Facts((("jobs", "0001_initial"), ("jobs", "0999_of_tomorrow")), {}, ())
    newer = Manifest("2026-11-24T00:00:00+00:00", "9.0.0", connection.vendor, False, facts, ())
    with pytest.raises(BackupError, match=r"release 9\.0\.0, which is newer.*0999_of_tomorrow"):
        check_manifest(newer)
    with pytest.raises(BackupError, match="same kind"):
        check_manifest(Manifest("", "0.1.0", "oracle", False, facts, ()))
