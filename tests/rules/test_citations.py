"""Comments and docstrings cite documents, sections and modules of this repository that exist, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.rules import references, repository

# docs/azure.md, docs/azure.md#errors, docs/azure.md, "Errors"
CITED = re.compile(r"\bdocs/[\w./-]*\w(?:#[\w-]+|,? (?:section )?[\"“][^\"”\n]+[\"”])?")
MODULE = re.compile(r"``([\w.]+)``")
# Working papers that were never part of the repository; in lower case, so that this file doesn't cite them.
PAPERS = "kmes|azure|design|ux|reliability|style|language|weather|attacks".upper()
FOREIGN = re.compile(rf"\b(?:(?:{PAPERS})\.md|{'design|reliability|weather'.upper()})\b(?! plpgsql)")


def broken_citations(path: Path) -> Iterator[str]:
    for citation in CITED.findall(repository.text(path)):
        name = re.match(r"[\w./-]+", citation)
        quoted = re.search(r"[\"“]([^\"”]+)", citation)
        anchor = references.slug(quoted[1]) if quoted else citation.partition("#")[2]
        if name is None or references.is_broken(Path(name[0]), anchor):
            yield citation


def test_code_cites_documents_and_sections_that_exist():
    # Documents link to each other by relative paths.
    sources = [
        path
        for path in repository.text_files()
        if path.suffix != ".md" and path != Path(__file__).relative_to(repository.ROOT)
    ]
    found = {str(path): list(broken_citations(path)) for path in sources}
    assert {path: broken for path, broken in found.items() if broken} == {}


def test_docstrings_name_modules_that_exist():
    found = {}
    for path in repository.modules(tests=True):
        names = {name for name in MODULE.findall(repository.text(path)) if references.DOTTED.match(name)}
        if missing := {name for name in names if not references.is_defined(name)}:
            found[str(path)] = missing
    assert found == {}


def test_nothing_cites_a_document_that_is_not_in_the_repository():
    found = {str(path): set(FOREIGN.findall(repository.text(path))) for path in repository.text_files()}
    assert {path: cited for path, cited in found.items() if cited} == {}
