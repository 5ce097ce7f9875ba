"""A file can be read in one sitting, and so can a class."""

from __future__ import annotations

import ast

from tests.rules.repository import modules, text, tree

MAX_FILE, MAX_CLASS = 400, 200


def test_no_module_has_more_lines_than_one_reads_in_one_sitting():
    lengths = {str(path): len(text(path).splitlines()) for path in modules(tests=True)}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE} == {}


def test_no_class_is_longer_than_one_can_keep_in_mind():
    too_long = {
        f"{path}: {each.name}": length
        for path in modules(tests=True)
        for each in ast.walk(tree(path))
        if isinstance(each, ast.ClassDef) and (length := (each.end_lineno or 0) - each.lineno + 1) > MAX_CLASS
    }
    assert too_long == {}
