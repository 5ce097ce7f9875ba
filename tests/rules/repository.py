"""The files of the repository, as the rule tests read them. Must not import the product."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Made or fetched, never written by hand.
GENERATED = {".git", ".venv", ".hypothesis", "node_modules", "var", "staticfiles", "__pycache__"}
BINARY = {".png", ".ico", ".pyc", ".mo"}


@cache
def files() -> tuple[Path, ...]:
    """Every file written by hand, by its path from the root."""
    found = []
    for folder, names, leaves in os.walk(ROOT):
        names[:] = [name for name in names if name not in GENERATED and not name.endswith("_cache")]
        found += [(Path(folder) / leaf).relative_to(ROOT) for leaf in leaves]
    return tuple(sorted(found))


@cache
def text(path: Path) -> str:
    return (ROOT / path).read_text()


def text_files() -> Iterator[Path]:
    """The files that hold text."""
    return (path for path in files() if path.suffix not in BINARY and _is_text(path))


def _is_text(path: Path) -> bool:
    with (ROOT / path).open("rb") as file:
        return b"\0" not in file.read(1024)


def documents() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


def modules(*, tests: bool = False) -> list[Path]:
    """The Python modules without migrations; with those of the tests only when asked."""
    found = [path for path in files() if path.suffix == ".py" and "migrations" not in path.parts]
    return [path for path in found if tests or not is_test(path)]


def is_test(path: Path) -> bool:
    return path.parts[0] == "tests"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path))
