"""A backup of one installation goes on living in another one: with its keys, its device, and its log."""

from __future__ import annotations

import fcntl
import os
import re
import stat

import pytest

from tests.jobs.observer import VaultObserver
from tests.operations.installation import Installation, new_database, passphrase_file

pytestmark = pytest.mark.timeout(240)


def backup(installation, file, *options):
    words = installation.manage("backup", str(file), *options).stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return words


def key_of(words: str) -> list[str]:
    """The option that names the key which signed a backup, as the command printed it."""
    return ["--key", re.search(r"signed by the checkpoint key (sha256:[0-9a-f]{64})", words)[1]]


def refused(done) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_was_backed_up_pushes_its_keys_from_another_place(installation, azure_stand_in, tmp_path, redis_server):
    """The whole promise: state, backup, an empty place, restore, and a key that only the old token could open."""
    vault_url = azure_stand_in.vault_url("kv-premium")
    assert installation.act("furnish", azure_stand_in.url, vault_url) == "succeeded"
    installation.act("sign_in")
    installation.act("sign_log")
    before = installation.act("count").split()
    secret, file = passphrase_file(tmp_path), tmp_path / "kmes.backup"
    words = backup(installation, file, "--passphrase-file", str(secret))
    assert "The backup holds the software token" in words
    assert b"payments" not in file.read_bytes()

    there = Installation(tmp_path / "there")
    # The token that the backup brings along can't say whom to trust.
    assert "no key is pinned here" in refused(
        there.manage("restore", str(file), "--passphrase-file", str(secret), check=False)
    )
    said = there.manage("restore", str(file), "--passphrase-file", str(secret), *key_of(words)).stdout
    assert "chain intact" in said
    users, keys, jobs, sessions, _logged = there.act("count").split()
    assert [users, keys, jobs] == before[:3]
    assert sessions == "0"
    state, version = there.act("push", "second").split()
    assert state == "succeeded"
    assert version in VaultObserver(azure_stand_in).versions("payments")
    assert there.manage("verify_log").returncode == 0
    # New rows of the restored database get numbers of their own.
    assert int(there.act("add_user", "eve")) > 2
    assert (there.folder / "secret_key").read_text() == (installation.folder / "secret_key").read_text()


def test_a_plain_backup_has_to_be_asked_for(installation, tmp_path):
    assert "required" in installation.manage("backup", str(tmp_path / "b"), check=False).stderr
    backup(installation, tmp_path / "b", "--plain")
    # Never over an existing file.
    assert "exists already" in refused(installation.manage("backup", str(tmp_path / "b"), "--plain", check=False))


def test_an_installation_with_data_is_replaced_only_when_asked_and_kept_aside(installation, tmp_path):
    file = tmp_path / "b"
    backup(installation, file, "--plain")
    installation.act("add_user", "late")
    assert "holds data already" in refused(installation.manage("restore", str(file), check=False))
    assert installation.act("count").split()[0] == "3"
    installation.manage("restore", str(file), "--replace")
    assert installation.act("count").split()[0] == "2"
    if "KMES_TEST_POSTGRES_URL" not in os.environ:
        assert list(installation.folder.glob("db.sqlite3.before-restore-*"))


def test_another_device_is_refused_and_nothing_is_left_behind(installation, tmp_path):
    """Without the token in the backup the connected device must have its major keys."""
    file = tmp_path / "b"
    words = backup(installation, file, "--plain", "--without-token")
    assert "does NOT hold the device's keys" in words
    other = Installation(tmp_path / "other", database_url=new_database(tmp_path / "other", with_tables=True))
    other.manage("hsm_init")
    assert "not trusted here" in refused(other.manage("restore", str(file), "--replace", check=False))
    said = refused(other.manage("restore", str(file), "--replace", *key_of(words), check=False))
    assert "other major keys" in said
    assert other.act("count").split()[0] == "0"
    # The rows alone can be had, and the command says what is missing.
    alone = Installation(tmp_path / "alone")
    assert "can't be asked" in refused(alone.manage("restore", str(file), *key_of(words), check=False))
    pins = str(installation.folder / "pinned_keys.json")
    assert "you need a device" in alone.manage("restore", str(file), "--without-device", "--key", pins).stdout


def test_a_tampered_log_is_not_restored(installation, tmp_path):
    installation.act("tamper")
    key = key_of(backup(installation, tmp_path / "b", "--plain"))
    there = Installation(tmp_path / "there")
    said = refused(there.manage("restore", str(tmp_path / "b"), *key, check=False))
    assert "tampered with at row" in said
    assert not (there.folder / "hsm" / "tokens").exists()
    assert there.manage("restore", str(tmp_path / "b"), *key, check=False).returncode == 1


def test_a_running_installation_is_not_replaced(installation, tmp_path):
    file = tmp_path / "b"
    backup(installation, file, "--plain")
    (installation.folder / "run").mkdir()
    with (installation.folder / "run" / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is running" in refused(installation.manage("restore", str(file), "--replace", check=False))


def test_without_the_device_a_backup_is_refused_in_words_or_made_unsigned(installation, tmp_path):
    (installation.folder / "hsm" / "pin").unlink()
    said = refused(installation.manage("backup", str(tmp_path / "b"), "--plain", check=False))
    assert "can't be signed" in said
    assert not (tmp_path / "b").exists()
    assert "NOT SIGNED" in backup(installation, tmp_path / "b", "--plain", "--unsigned", "--without-token")
    restore = ["restore", str(tmp_path / "b"), "--replace", "--without-device"]
    assert "not signed" in refused(installation.manage(*restore, check=False))
    assert "nobody signed this backup" in installation.manage(*restore, "--accept-unsigned").stdout
    assert "nobody signed it" in installation.act("last_restore")
