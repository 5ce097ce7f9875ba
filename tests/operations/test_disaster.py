"""The drill of docs/disaster.md, run word for word: everything is lost, and a key is pushed afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.operations.installation import Installation
from tests.services import ROOT

pytestmark = pytest.mark.timeout(240)
PAGE = (ROOT / "docs" / "disaster.md").read_text()
MAKE_PASSPHRASE, BACK_UP, SHOW, RESTORE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif("KMES_TEST_POSTGRES_URL" in os.environ, reason="the drill is the embedded instance's")
def test_the_drill_of_the_page_brings_the_console_back(installation, azure_stand_in, tmp_path):
    names = {
        "PASSPHRASE": str(tmp_path / "passphrase"),
        "BACKUP": str(tmp_path / "kmes.backup"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def shell(text: str, environment: dict[str, str]) -> str:
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(
            command, cwd=ROOT, env={**environment, **names}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    installation.act("furnish", azure_stand_in.url, azure_stand_in.vault_url("kv-premium"))
    installation.act("sign_log")
    shell(MAKE_PASSPHRASE, installation.environment)
    made = shell(BACK_UP, installation.environment)
    assert "audit log ends at" in made
    names["KEY"] = json.loads((installation.folder / "pinned_keys.json").read_text())["checkpoint"][0]
    shutil.rmtree(installation.folder)

    there = Installation(tmp_path / "another machine", database_url=f"sqlite:///{tmp_path}/another machine/db.sqlite3")
    assert "The backup holds the software token" in shell(SHOW, there.environment)
    assert "chain intact" in shell(RESTORE, there.environment)
    assert there.act("push", "second").startswith("succeeded")


def test_what_the_page_says_of_options_is_what_the_commands_have():
    for command in ("backup", "restore"):
        usage = subprocess.run(
            [sys.executable, "manage.py", command, "--help"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "kmes.settings"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in re.findall(rf"manage\.py {command} (.*)", PAGE):
            for option in re.findall(r"--[a-z-]+", line):
                assert option in usage
