"""Rows whose marks held are made in one module, so that nobody forgets the check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.rules.repository import modules, text, tree

MAKER = "hsm/mark_checks.py"
HOME = Path("hsm/verified.py")
TYPES = {node.name for node in tree(HOME).body if isinstance(node, ast.ClassDef)}
# What makes an object of a class, or of a changed copy, without its name being called.
WAYS_AROUND = {"__new__", "__setattr__"}


def made_in(module: ast.AST) -> Iterator[str]:
    """The verified rows that a module makes, by whatever name it knows their type."""
    names = {name: name for name in TYPES}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname and alias.name in TYPES}
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in names:
            yield names[called]
        if called in WAYS_AROUND and any(isinstance(each, ast.Name) and each.id in names for each in node.args):
            yield called


def test_there_are_verified_rows():
    assert TYPES


def test_verified_rows_are_made_by_the_checks_only():
    using = [path for path in modules() if any(name in text(path) for name in TYPES)]
    makers = {str(path) for path in using if any(made_in(tree(path)))}
    assert makers == {MAKER}


def test_a_rule_that_sees_other_names_too():
    source = "from hsm.verified import VerifiedKey as Fine\nFine(facts)\nobject.__new__(VerifiedKey)"
    assert list(made_in(ast.parse(source))) == ["VerifiedKey", "__new__"]
