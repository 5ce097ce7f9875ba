"""docs/threat-model.md looks at every component, and what it names as proof exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules import references, repository
from tests.rules.test_configuration import settings_documented

PAGE = Path("docs/threat-model.md")
COMPONENTS = (
    *("The web process", "The cloud worker", "The report worker", "Beat", "The database", "The Redis server"),
    *("The device and its token", "The state folder", "A backup file"),
    *("A vault, Entra or another service of the cloud", "A proxy or gateway in between"),
    *("The network, without an account", "Browser and users", "The supervisor, set-up and the machine"),
)
SETTING = re.compile(r"\bKMES_[A-Z0-9_]+\b")


def sections() -> dict[str, str]:
    """The components of the matrix and what stands below their headings."""
    matrix = re.split(r"^## ", repository.text(PAGE).partition("\n## Matrix\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^### (.+)$", matrix, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[1:]]


def test_every_component_is_in_the_matrix():
    assert tuple(sections()) == COMPONENTS


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_line_says_what_stops_it_what_shows_it_and_what_remains(component):
    lines = rows(sections()[component])
    assert len(lines) >= 2
    for line in lines:
        assert len(line) == 4, line
        tried, stopped_by, shown_by, remains = line
        # What nothing stops says what is reached then.
        assert "`tests/" in shown_by or (stopped_by == shown_by == "–" and remains != "–"), tried


def test_every_test_that_it_names_exists():
    named = references.named_tests(PAGE)
    assert len(named) > 80
    assert [each for each in named if not references.is_test(*each)] == []


def test_every_setting_that_it_names_is_documented():
    named = set(SETTING.findall(repository.text(PAGE)))
    assert named - set(settings_documented()) == set()


def test_every_attack_test_stands_in_it():
    files = [path for path in repository.files() if path.parent == Path("tests/attacks") and path.name[:5] == "test_"]
    assert [str(path) for path in files if path.name not in repository.text(PAGE)] == []
