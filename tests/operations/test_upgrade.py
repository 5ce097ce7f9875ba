"""From the previous release to this one: every row stays, the log still verifies, and old and new don't fight."""

from __future__ import annotations

import json

import pytest

from tests.operations.installation import Installation, new_database

pytestmark = pytest.mark.timeout(240)
RELEASE = ("-m", "tests.operations.previous_release")
ROTATIONS = ("-m", "tests.operations.earlier_rotations")


@pytest.fixture(scope="module")
def populated(tmp_path_factory, redis_server):
    """A populated database of the previous release, made once and left as it is."""
    made = Installation(tmp_path_factory.mktemp("populated"))
    made.run(*RELEASE, "populate")
    return made


@pytest.fixture
def previous(populated, tmp_path):
    """One that the test may change."""
    return populated.copied_to(tmp_path / "previous")


def test_a_populated_database_of_the_previous_release_comes_forward_whole(previous):
    assert previous.run(*RELEASE, "fit").stdout.strip() == "behind"
    previous.manage("migrate", "--verbosity", "0")
    assert previous.run(*RELEASE, "check").stdout.strip() == "as it was"
    # Without a device nothing was signed, so nothing is proven to a stranger; but nothing is broken either.
    verified = previous.manage("verify_log", check=False)
    assert verified.returncode == 2
    said = verified.stdout
    assert "audit: ok, 2 rows" in said
    assert "missing" not in said
    assert "TAMPERED" not in said
    # Nothing is left to do, and a second run changes nothing.
    assert "No migrations to apply" in previous.manage("migrate").stdout


def test_a_backup_of_the_previous_release_comes_forward_on_its_way_in(previous, tmp_path):
    refused = previous.manage("backup", str(tmp_path / "b"), "--plain", check=False)
    assert "not of this release" in refused.stderr
    previous.run(*RELEASE, "back_up", str(tmp_path / "b"))
    there = Installation(tmp_path / "there")
    there.manage("restore", str(tmp_path / "b"), "--without-device", "--accept-unsigned")
    assert there.run(*RELEASE, "check").stdout.strip() == "as it was"


def test_rotations_know_what_became_of_their_jobs_after_an_upgrade_and_after_a_restore(previous, tmp_path):
    previous.run(*ROTATIONS, "add")
    previous.run(*RELEASE, "back_up", str(tmp_path / "b"))
    previous.manage("migrate", "--verbosity", "0")
    assert previous.run(*ROTATIONS, "check").stdout.strip() == "as they were"
    there = Installation(tmp_path / "there")
    there.manage("restore", str(tmp_path / "b"), "--without-device", "--accept-unsigned")
    assert there.run(*ROTATIONS, "check").stdout.strip() == "as they were"


def test_squashed_migrations_make_the_schema_that_the_single_ones_made(tmp_path):
    single = Installation(tmp_path / "single").run("-m", "tests.operations.schema", "single").stdout
    squashed_at = new_database(tmp_path / "squashed", with_tables=True)
    squashed = Installation(tmp_path / "squashed", database_url=squashed_at).run("-m", "tests.operations.schema").stdout
    assert set(json.loads(squashed)) ^ set(json.loads(single)) == set()
