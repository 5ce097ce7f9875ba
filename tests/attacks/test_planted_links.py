"""Links and second names that a process puts into a folder of its own lead neither root nor another process anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.emulator import write_configuration
from kmes.core.clock import now
from kmes.core.pinned_keys import KeyUse, pin
from kmes.core.private_files import copy_plain_tree, open_plain, resolve_own
from kmes.operations import restore, sqlite_copy, token_copy
from kmes.operations.backup import EXPORTS
from kmes.supervision.part_users import DEFAULT_FIRST_NUMBER
from logging_reports import export_files
from logging_reports.models import LogExport
from tests.rules.repository import ROOT

pytestmark = pytest.mark.django_db
NAME = "audit-20261129T000000Z-0123456789abcdef.jsonl"
SECRET = "the key of another process"


@pytest.fixture
def secret(tmp_path):
    """A file that whoever planted the link can't read."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def exports(tmp_path, settings):
    settings.KMES_EXPORT_DIR = tmp_path / "exports"
    settings.KMES_EXPORT_DIR.mkdir()
    return settings.KMES_EXPORT_DIR


def plant(place: Path, target: Path, *, kind: str) -> None:
    if kind == "link":
        place.symlink_to(target)
    elif kind == "second name":
        os.link(target, place)
    else:
        os.mkfifo(place)


@pytest.mark.parametrize("kind", ["link", "second name", "pipe"])
def test_the_web_process_sends_no_file_to_which_a_link_in_the_export_folder_leads(
    kind, exports, secret, client, django_user_model
):
    """The report worker names the file of an export in its row, and owns the folder."""
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    plant(exports / NAME, secret, kind=kind)
    export = LogExport.objects.create(
        service="audit",
        format="jsonl",
        wanted={},
        up_to=0,
        requested_by="ada",
        state="ready",
        file_name=NAME,
        created_at=now(),
    )
    assert client.get(f"/logs/exports/{export.pk}/file/").status_code == 404
    (exports / NAME).unlink()
    (exports / NAME).write_text("rows")
    answer = client.get(f"/logs/exports/{export.pk}/file/")
    assert b"".join(answer.streaming_content) == b"rows"


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_backup_takes_no_file_to_which_a_link_leads(kind, exports, secret, tmp_path):
    plant(exports / NAME, secret, kind=kind)
    with pytest.raises(OSError):
        copy_plain_tree(exports, tmp_path / "copy", is_wanted=export_files.is_export)
    assert not any(path.read_text() == SECRET for path in (tmp_path / "copy").iterdir())


def test_a_backup_takes_no_token_to_which_a_link_leads(secret, tmp_path, settings):
    home = tmp_path / "hsm"
    (home / "tokens" / "a").mkdir(parents=True)
    (home / "pin").write_text("pin")
    settings.KMES_SOFTHSM_CONF, settings.KMES_HSM_PIN_FILE = home / "softhsm2.conf", home / "pin"
    folder = tmp_path / "backup"
    for place, target in ((home / "tokens" / "a" / "token.object", secret), (home / "tokens" / "b", tmp_path)):
        place.symlink_to(target)
        folder.mkdir()
        with pytest.raises(OSError):
            token_copy.copy_out(folder)
        assert SECRET not in [path.read_text() for path in folder.rglob("*") if path.is_file()]
        place.unlink()
        subprocess.run(["rm", "-r", folder], check=True)
    folder.mkdir()
    token_copy.copy_out(folder)
    (home / "pin").unlink()
    (home / "pin").symlink_to(secret)
    with pytest.raises(OSError):
        open_plain(settings.KMES_HSM_PIN_FILE)


def test_a_restore_writes_exports_over_links_and_not_through_them(exports, secret, tmp_path):
    (exports / NAME).symlink_to(secret)
    folder = tmp_path / "unpacked"
    (folder / EXPORTS).mkdir(parents=True)
    (folder / EXPORTS / NAME).write_text("rows of the attacker")
    assert restore._restore_exports(folder) == []
    assert secret.read_text() == SECRET
    assert (exports / NAME).read_text() == "rows of the attacker"
    assert not (exports / NAME).is_symlink()


def test_a_restore_writes_the_database_over_a_link_and_not_through_it(secret, tmp_path):
    """Its temporary file used to have a name that could be foretold, in a folder that three processes share."""
    copy, place = tmp_path / "copy", tmp_path / "database" / "db.sqlite3"
    place.parent.mkdir()
    copy.write_text("rows of the attacker")
    for name in (".db.sqlite3.restoring", "db.sqlite3"):
        (place.parent / name).symlink_to(secret)
    sqlite_copy._put(copy, place)
    assert secret.read_text() == SECRET
    assert place.read_text() == "rows of the attacker"


def test_pinned_keys_and_the_tokens_configuration_are_written_over_links(secret, tmp_path, settings):
    folder = tmp_path / "pinned"
    folder.mkdir()
    settings.KMES_PINNED_KEYS_FILE = folder / "keys.json"
    (folder / ".keys.json.tmp").symlink_to(secret)
    (folder / "softhsm2.conf").symlink_to(secret)
    pin({KeyUse.MFK: "ab" * 32})
    write_configuration(folder)
    assert secret.read_text() == SECRET
    assert "tokendir" in (folder / "softhsm2.conf").read_text()
    (folder / ".keys.json.lock").unlink()
    (folder / ".keys.json.lock").symlink_to(secret)
    with pytest.raises(Exception, match="can't be written"):
        pin({KeyUse.MFK: "cd" * 32})
    assert secret.read_text() == SECRET


@pytest.mark.skipif(os.geteuid() != 0, reason="only root follows links of others")
@pytest.mark.parametrize("name", ["db.sqlite3", "pinned_keys.json"])
def test_no_command_of_root_follows_a_link_that_a_process_made(name, tmp_path):
    state, part = tmp_path / "state", DEFAULT_FIRST_NUMBER
    folder = state / "part"
    folder.mkdir(parents=True)
    os.chown(folder, part, part)
    (state / name).symlink_to(f"part/{name}")
    target = tmp_path / "of-root"
    assert resolve_own(state / name, home=state) == folder / name
    (folder / name).symlink_to(target)
    assert resolve_own(state / name, home=state) == target
    os.chown(folder / name, part, part, follow_symlinks=False)
    with pytest.raises(OSError, match="does not follow"):
        resolve_own(state / name, home=state)
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "KMES_STATE_DIR": str(state), "KMES_SECRET_KEY_FILE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "does not follow" in done.stderr
    assert not target.exists()
