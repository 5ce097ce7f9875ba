"""docs/asvs.md answers each requirement of levels 1 and 2 once, and what it names as proof exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.rules import references, repository
from tests.rules.asvs_requirements import LEVELS

PAGE = Path("docs/asvs.md")
ROW = re.compile(r"^\| ((?:\d+\.\d+\.\d+(?:, )?)+) \| [^|]+ \| \*\*(.+?)\.\*\* (.+) \|$", re.MULTILINE)
STATUSES = ("Met", "Partly", "Not met", "Not applicable")
REQUIRED = {each for each, level in LEVELS.items() if level <= 2}


def rows() -> list[tuple[list[str], str, str]]:
    """Each row's ids, status and reason."""
    return [(ids.split(", "), status, reason) for ids, status, reason in ROW.findall(repository.text(PAGE))]


def test_the_list_of_requirements_is_the_standards():
    # As the standard counts them itself.
    assert Counter(LEVELS.values()) == {1: 70, 2: 183, 3: 92}


def test_each_requirement_is_answered_once():
    answered = Counter(each for ids, _, _ in rows() for each in ids)
    assert REQUIRED - set(answered) == set()
    assert set(answered) - REQUIRED == set()
    assert {each for each, count in answered.items() if count > 1} == set()


def test_no_row_is_passed_over():
    begun = [line for line in repository.text(PAGE).splitlines() if re.match(r"\| \d", line)]
    assert len(begun) == len(rows())
    assert {status for _, status, _ in rows()} <= set(STATUSES)


def test_what_is_met_names_its_proof():
    proof = re.compile(r"`[\w./]+/[\w.-]+|\]\([\w./-]+\.md|`(?:Makefile|pyproject\.toml)`")
    bare = [ids for ids, status, reason in rows() if status in {"Met", "Partly"} and not proof.search(reason)]
    # Said by the row itself: the installation's own part.
    assert bare == [["3.5.4"]]


def test_the_counts_are_those_of_the_rows():
    counts = Counter((status, LEVELS[each]) for ids, status, _ in rows() for each in ids)
    stated = re.findall(r"^\| ([A-Z][a-z ]+) \| (\d+) \| (\d+) \|", repository.text(PAGE), re.MULTILINE)
    assert stated == [(status, str(counts[status, 1]), str(counts[status, 2])) for status in STATUSES]


def test_every_test_that_it_names_exists():
    named = references.named_tests(PAGE)
    assert len(named) > 80
    assert [each for each in named if not references.is_test(*each)] == []
