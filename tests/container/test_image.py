"""The Dockerfile against the tree: what it copies exists, is let in, and is all that runs need."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
# Docker's own; every other registry or address would be an installation's business.
BASES = {"node:22-bookworm-slim", "python:3.11-slim-bookworm"}


def copied():
    """What is copied from the tree."""
    found = []
    for line in LINES:
        if line.startswith("COPY ") and "--from=" not in line:
            found += [word for word in line.split()[1:-1] if not word.startswith("--")]
    return found


def is_let_in(path):
    """Whether .dockerignore lets a path in: the last line that matches decides."""
    let_in = True
    for line in IGNORED:
        pattern = line.removeprefix("!")
        if path == pattern or path.startswith(f"{pattern}/") or fnmatch.fnmatch(path, pattern.removeprefix("**/")):
            let_in = line.startswith("!")
    return let_in


@pytest.mark.parametrize("path", copied())
def test_what_is_copied_exists_and_is_let_in(path):
    assert (ROOT / path).exists()
    assert is_let_in(path)


@pytest.mark.parametrize("path", ["var", ".git", ".venv", "node_modules", "tests", "docs", ".env", "db.sqlite3"])
def test_state_secrets_and_tests_stay_out(path):
    assert not is_let_in(path)


def test_every_package_of_ours_is_in_the_image():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(settings["tool"]["importlinter"]["root_packages"]) <= set(copied())
    assert {"manage.py", "templates", "requirements/base.txt"} <= set(copied())


def test_the_bases_are_named_with_their_versions_and_python_fits():
    bases = {line.split()[1] for line in LINES if line.startswith("FROM ")}
    assert bases == BASES
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["requires-python"] == ">=3.11"


def test_it_runs_as_a_user_of_its_own_who_owns_the_volumes():
    user = next(line.split()[1] for line in LINES if line.startswith("USER "))
    assert user == "kmes"
    assert "useradd --uid 10001" in TEXT
    after_user = TEXT[TEXT.index("\nUSER ") :]
    assert "\nRUN " not in after_user
    owned = set(
        re.findall(r"(/(?:var/lib/kmes|run)[\w/-]*)", TEXT[TEXT.index("install -d") : TEXT.index("WORKDIR /app")])
    )
    for service in COMPOSE["services"].values():
        if service["image"].startswith("kmes-console"):
            for text in service.get("volumes", []):
                assert text.split(":")[1] in owned


def test_its_command_and_health_check_are_those_of_the_web_service():
    command = next(line for line in LINES if line.startswith("CMD "))
    web = COMPOSE["services"]["web"]
    assert re.findall(r'"([^"]*)"', command) == web["command"].split()
    check = TEXT[TEXT.index("HEALTHCHECK") : TEXT.index("\nCMD ")]
    assert re.findall(r'"([^"]*)"', check) == web["healthcheck"]["test"][1:]


def test_packages_are_installed_against_their_hashes():
    assert "--require-hashes" in TEXT
    assert "npm ci" in TEXT
    for name in ("base", "dev", "node"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pinned = re.findall(r"(?m)^[a-z0-9][^\s=]*==", text)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text


def test_the_front_end_lock_has_hashes_and_no_addresses():
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "node_modules/bootstrap" in packages
    for entry in packages.values():
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
