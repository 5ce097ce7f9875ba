"""How documents and code refer to files, sections and modules, and whether what they refer to exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.rules import repository

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A test as pytest names it: the file, and the function with or without its class.
TEST = re.compile(r"`(tests/[\w/]+\.py)::(?:\w+::)?(test_\w+)`")
PACKAGES = ("azure_emulator", "cloudcreds", "hsm", "jobs", "keygroups", "kmes", "logging_reports", "tests")
DOTTED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+\Z")


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return FENCE.sub("", repository.text(document))


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(document: Path) -> set[str]:
    return {slug(heading) for heading in HEADING.findall(prose(document))}


@cache
def exists(path: Path) -> bool:
    """Whether a file is there, or a folder that holds one; folders of former modules may hold compiled ones."""
    return path in _paths()


@cache
def _paths() -> set[Path]:
    return {folder for path in repository.files() for folder in (path, *path.parents)}


def is_broken(path: Path, anchor: str) -> bool:
    return not exists(path) or (anchor != "" and (path.suffix != ".md" or anchor not in anchors(path)))


def links(document: Path) -> list[tuple[str, Path, str]]:
    """Each link of a document to this repository: as written, its path from the root, its anchor."""
    found = []
    for target in LINK.findall(prose(document)):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            found.append((target, _normal(document.parent / name) if name else document, anchor))
    return found


def named_tests(document: Path) -> list[tuple[Path, str]]:
    """The tests that a document names: file and function."""
    return [(Path(file), function) for file, function in TEST.findall(repository.text(document))]


@cache
def _functions(file: Path) -> set[str]:
    tree = repository.tree(file)
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def is_test(file: Path, function: str) -> bool:
    return exists(file) and function in _functions(file)


def _normal(path: Path) -> Path:
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return Path(*parts)


@cache
def is_defined(dotted: str) -> bool:
    """Whether a dotted name is a package or module, or a name that stands in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        folder = Path(*parts[:count])
        for module in (folder.with_suffix(".py"), folder / "__init__.py"):
            if exists(module):
                return count == len(parts) or bool(re.search(rf"\b{parts[count]}\b", repository.text(module)))
        if exists(folder):
            return count == len(parts)
    return False
