"""Documents link to files and sections, and name files and modules, that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules import references, repository

QUOTED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# Ids of Django's system checks look like modules; tests/operations/test_deployment_checks.py compares them with the code.
CHECK_ID = re.compile(r"kmes\.[EWI]\d{3}\Z")
FILE_NAME = re.compile(r"[\w.-]+\.(?:py|js|css|html)\Z")
TOP = {path.parts[0] for path in repository.files()}


def missing_names(document: Path) -> Iterator[str]:
    """Files, folders and modules in backquotes that don't exist."""
    base_names = {path.name for path in repository.files()}
    for quoted in QUOTED.findall(references.prose(document)):
        name = quoted.partition("::")[0]
        if "/" in name and re.fullmatch(r"[\w./-]+", name):
            # var/ is the state of a running instance.
            if name.partition("/")[0] in TOP and not references.exists(Path(name)):
                yield quoted
        elif FILE_NAME.match(name):
            if name not in base_names:
                yield quoted
        elif references.DOTTED.match(name) and not CHECK_ID.match(name) and not references.is_defined(name):
            yield quoted


def reached_from(document: Path) -> set[Path]:
    """The documents that links lead to, step by step; a link to a folder leads to all in it."""
    reached: set[Path] = set()
    queue = [document]
    while queue:
        current = queue.pop()
        if current not in reached:
            reached.add(current)
            targets = {path for _, path, _ in references.links(current) if references.exists(path)}
            queue += [path for path in repository.documents() if path in targets or path.parent in targets]
    return reached


@pytest.mark.parametrize("document", repository.documents(), ids=str)
def test_a_document_links_to_what_exists(document):
    broken = [target for target, path, anchor in references.links(document) if references.is_broken(path, anchor)]
    assert broken == []


@pytest.mark.parametrize("document", repository.documents(), ids=str)
def test_a_document_names_files_and_modules_that_exist(document):
    assert list(missing_names(document)) == []


def test_every_document_is_reached_from_the_readme():
    assert set(repository.documents()) - reached_from(Path("README.md")) == set()


def test_the_code_of_a_push_is_three_clicks_from_the_readme():
    architecture, push = Path("docs/architecture.md"), Path("jobs/kinds/push/cycle.py")
    assert architecture in [path for _, path, _ in references.links(Path("README.md"))]
    assert push in [path for _, path, _ in references.links(architecture)]


def test_each_decision_has_a_number_of_its_own():
    records = sorted((repository.ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [int(path.name.partition("-")[0]) for path in records]
    assert len(set(numbers)) == len(numbers)
    assert [path.read_text().partition(".")[0] for path in records] == [f"# {number}" for number in numbers]
