"""Where files lie in the state folder and whose they are: after an upgrade, after root's commands, after a part's tricks."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import pytest

from kmes.supervision import part_users, state_files
from kmes.supervision.instance import ROOT, Instance, StartError
from kmes.supervision.part_users import DEFAULT_FIRST_NUMBER, numbered_from
from tests import services

USERS = numbered_from(DEFAULT_FIRST_NUMBER)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


@pytest.fixture
def folder():
    folder = services.open_folder("kmes-state-")
    yield folder
    shutil.rmtree(folder)


def an_instance(folder, **given):
    instance = Instance.from_environment({"KMES_STATE_DIR": str(folder / "state"), "PATH": os.environ["PATH"], **given})
    instance.make_folders()
    instance.state_dir.chmod(0o711)
    return instance


@pytest.fixture
def instance(folder):
    return an_instance(folder)


def owner_of(path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


# --- Layout ----------------------------------------------------------------------------------
def test_the_files_of_an_earlier_release_move_with_the_journal_and_stay_known_by_their_names(instance):
    for name in ("db.sqlite3", "db.sqlite3-journal", "pinned_keys.json"):
        instance.path(name).write_text(name)
    instance.path("redis", "appendonlydir").mkdir()
    for _ in range(2):
        state_files.arrange(instance)
        assert instance.path("db.sqlite3").read_text() == "db.sqlite3"
        assert instance.path("db.sqlite3").resolve() == instance.path("database", "db.sqlite3")
        assert instance.path("database", "db.sqlite3-journal").read_text() == "db.sqlite3-journal"
        assert instance.path("pinned", "keys.json").read_text() == "pinned_keys.json"
        assert instance.path("redis", "data", "appendonlydir").is_dir()


def test_of_two_databases_none_replaces_the_other(instance):
    state_files.arrange(instance)
    instance.path("database", "db.sqlite3").write_text("the one in use")
    instance.path("db.sqlite3").unlink()
    instance.path("db.sqlite3").write_text("another")
    with pytest.raises(StartError, match="two of one file"):
        state_files.arrange(instance)
    assert instance.path("database", "db.sqlite3").read_text() == "the one in use"


# --- Owners ----------------------------------------------------------------------------------
@as_root
def test_each_part_gets_its_files_also_those_that_commands_of_root_left(instance):
    state_files.arrange(instance)
    state_files.hand_over(instance, USERS)
    token = instance.path("hsm", "tokens")
    token.mkdir(mode=0o700)
    (token / "token.object").touch(mode=0o600)
    (instance.path("exports", "audit.csv")).touch(mode=0o600)
    state_files.hand_over(instance, USERS)
    worker, web, reports = USERS.parts["worker"], USERS.parts["web"], USERS.parts["reports"]
    assert owner_of(token / "token.object") == (worker.uid, worker.gid, 0o600)
    assert owner_of(instance.path("exports")) == (reports.uid, web.gid, 0o2750)
    assert owner_of(instance.path("exports", "audit.csv")) == (reports.uid, web.gid, 0o640)
    assert owner_of(instance.path("database")) == (0, USERS.database_gid, 0o2770)
    assert owner_of(instance.path("database", "db.sqlite3")) == (worker.uid, USERS.database_gid, 0o660)
    assert owner_of(instance.state_dir) == (0, 0, 0o711)
    assert USERS.database_gid not in USERS.parts["beat"].groups


@as_root
def test_root_gives_nothing_away_that_a_part_links_to(instance, folder):
    state_files.hand_over(instance, USERS)
    precious = folder / "precious"
    precious.touch(mode=0o600)
    (folder / "folder").mkdir(mode=0o700)
    instance.path("exports", "link").symlink_to(precious)
    instance.path("exports", "folder").symlink_to(folder / "folder")
    instance.path("exports", "second name").hardlink_to(precious)
    instance.path("database", "db.sqlite3").unlink()
    instance.path("database", "db.sqlite3").symlink_to(folder / "made")
    state_files.hand_over(instance, USERS)
    assert owner_of(precious) == (0, 0, 0o600)
    assert owner_of(folder / "folder") == (0, 0, 0o700)
    assert not (folder / "made").exists()


@as_root
def test_a_pin_file_that_others_could_read_is_not_mended(instance):
    instance.path("hsm", "pin").touch()
    instance.path("hsm", "pin").chmod(0o644)
    state_files.hand_over(instance, USERS)
    assert owner_of(instance.path("hsm", "pin"))[2] == 0o644


@as_root
def test_what_root_wrote_without_users_is_found_by_the_next_start_with_users(instance):
    state_files.hand_over(instance, USERS)
    state_files.keep_to_owner(instance)
    assert stat.S_IMODE(instance.state_dir.stat().st_mode) == 0o700
    instance.path("redis", "data", "appendonly.aof").touch(mode=0o600)
    state_files.hand_over(instance, USERS)
    redis = USERS.parts["redis"]
    assert owner_of(instance.path("redis", "data", "appendonly.aof")) == (redis.uid, redis.gid, 0o600)


# --- Whether there are users -----------------------------------------------------------------
@as_root
def test_a_start_as_root_has_users_where_they_reach_everything(instance):
    assert part_users.choose(instance).users == USERS


@as_root
def test_a_folder_that_keeps_them_out_is_named(folder):
    (folder / "closed").mkdir(mode=0o700)
    separation = part_users.choose(an_instance(folder / "closed"))
    assert separation.users is None
    assert separation.is_warning
    assert f"the folder {folder / 'closed'} (mode 0700) keeps other users out" in separation.reason


@as_root
def test_the_switch_leaves_all_as_root_with_a_warning(folder):
    separation = part_users.choose(an_instance(folder, KMES_SEPARATE_USERS="0"))
    assert (separation.users, separation.is_warning) == (None, True)


def test_an_ordinary_user_has_no_users_to_give_and_needs_no_warning(instance):
    script = (
        "from kmes.supervision.instance import Instance; from kmes.supervision import part_users; import os; "
        "found = part_users.choose(Instance.from_environment(os.environ)); "
        "print(found.users, found.is_warning, found.reason)"
    )
    asked = {"user": USERS.parts["web"].uid, "group": USERS.parts["web"].gid} if os.geteuid() == 0 else {}
    environment = {"KMES_STATE_DIR": str(instance.state_dir)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, **asked
    )
    assert done.stdout == "None False the start was not made as root\n", done.stderr


@as_root
@pytest.mark.parametrize("first", ["65530", "1000", "many", "-1"])
def test_a_number_of_somebody_else_and_one_that_is_none_are_refused(folder, first):
    # 65534 is "nobody" everywhere.
    with pytest.raises(StartError, match="KMES_FIRST_USER_NUMBER"):
        part_users.choose(an_instance(folder, KMES_FIRST_USER_NUMBER=first))


@as_root
def test_a_file_of_a_setting_that_its_process_cannot_read_is_named_with_the_command_that_helps(folder):
    password = folder / "mail"
    password.touch(mode=0o600)
    instance = an_instance(folder, KMES_EMAIL_PASSWORD_FILE=str(password))
    uid = USERS.parts["reports"].uid
    with pytest.raises(
        StartError, match=rf"KMES_EMAIL_PASSWORD_FILE names .* reports \({uid}\).*chown {uid} {password}"
    ):
        part_users.choose(instance)
    os.chown(password, uid, 0)
    assert part_users.choose(instance).users == USERS


@as_root
def test_going_back_to_an_ordinary_user_names_the_command(instance):
    state_files.arrange(instance)
    state_files.hand_over(instance, USERS)
    script = (
        "from kmes.supervision.instance import Instance, StartError\nimport os\n"
        "try:\n    Instance.from_environment(os.environ).make_folders()\nexcept StartError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"KMES_STATE_DIR": str(instance.state_dir)},
        user=USERS.parts["web"].uid,
        group=USERS.parts["web"].gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"sudo chown -R {USERS.parts['web'].uid} {instance.state_dir}" in done.stdout, done.stderr
