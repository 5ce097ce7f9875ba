"""Reads the product's code and finds the texts for people that stand outside gettext, and the reverse in the log."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cloudcreds", "hsm", "jobs", "keygroups", "kmes", "logging_reports")
# Written for the terminal, for Prometheus, for trial data or for auditors: none is a page, and none is translated.
NOT_PAGES = re.compile(
    r"/migrations/|/management/|^kmes/(supervision|devtools)/|^kmes/(settings|secret_key)\.py|^kmes/dashboard/(metrics|health)\.py"
    r"|^jobs/approvals/offline\.py|^logging_reports/(offline|verification|chain|anchors|json_lines|triggers)\.py"
)
GETTEXT = {"_", "_now", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext"}
LOG_CALLS = {"record", "Draft", "CallRecord", "log", "log_deferred", "_log", "_record", "record_of", "_draft"}
# Slips of our own code, the process's own log, and what is only matched.
NOT_FOR_PEOPLE = {"AssertionError", "ValueError", "TypeError", "RuntimeError", "TooLateToSend", "UnknownEventError"}
NOT_FOR_PEOPLE |= {"debug", "info", "warning", "error", "exception", "compile", "search", "fullmatch", "match"}
# Keyword arguments that a reader sees, whatever is called.
SHOWN = {"label", "submenu", "title", "heading", "help_text", "verbose_name", "empty_text", "what", "remedy"}
# Words, not names: "kmes-kek-" and "AADSTS{}" are the same in every language.
WORD = re.compile(r"(?<![\w-])[A-Za-z]?[a-z]{2,}(?![\w-])")
SENTENCE = re.compile(r"[A-Z“{][^<>]* [^<>]*[a-z}”)]\.( |$)")
HOLDS_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


def sources() -> dict[str, str]:
    """Return the product's modules whose texts are for people, by path."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    named = {str(path.relative_to(ROOT)): path for path in paths}
    return {name: path.read_text() for name, path in named.items() if not NOT_PAGES.search(name)}


@functools.cache
def _classes(text: str) -> list[tuple[str, list[str], bool]]:
    """Return a module's classes, wherever they stand: name, bases, and whether ``detail`` is its first argument."""
    found, statements = [], [*ast.parse(text).body]
    while statements:
        node = statements.pop()
        # Expressions hold no class, and are most of a tree.
        statements += [each for each in ast.iter_child_nodes(node) if isinstance(each, HOLDS_STATEMENTS)]
        if isinstance(node, ast.ClassDef):
            inits = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
            is_detailed = any([word.arg for word in each.args.args][:2] == ["self", "detail"] for each in inits)
            found.append((node.name, [_name(base) for base in node.bases], is_detailed))
    return found


def error_family(texts: dict[str, str], roots: frozenset[str] = frozenset({"KmesError"})) -> set[str]:
    """Return these errors and all that are made of them, by name."""
    made_of: dict[str, set[str]] = defaultdict(set)
    for text in texts.values():
        for name, bases, _ in _classes(text):
            for base in bases:
                made_of[base].add(name)
    family, found = set(), set(roots)
    while found - family:
        family |= found
        found = set().union(*(made_of[name] for name in family))
    return family


def detailed_errors(texts: dict[str, str]) -> set[str]:
    """Return the errors that are made with a text for the log before those for people, by name."""
    roots = {name for text in texts.values() for name, _, is_detailed in _classes(text) if is_detailed}
    return error_family(texts, frozenset(roots))


def untranslated(text: str, family: set[str], detailed: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Find literals that people read outside gettext: in errors, in what is shown, and whole sentences anywhere.

    The first text of an error of ``detailed`` is for the log.
    """
    tree = ast.parse(text)
    assigned = _assignments(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        first = 1 if _name(call.func) in detailed else 0
        given = {*call.args[first:], *(word.value for word in call.keywords if word.arg in {"what", "remedy"})}
        shown = {word.value for word in call.keywords if word.arg in SHOWN}
        for value in (given if _name(call.func) in family else set()) | shown:
            values = assigned[value.id] if isinstance(value, ast.Name) else [value]
            yield from (found for one in values for found in _literals(one, WORD, GETTEXT))
    yield from _literals(tree, SENTENCE, GETTEXT | LOG_CALLS | NOT_FOR_PEOPLE)


def translated_rows(text: str) -> Iterator[tuple[int, str]]:
    """Find texts of log rows that go through gettext, which would make a row's language that of whoever causes it."""
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        if _name(call.func) not in LOG_CALLS:
            continue
        for node in ast.walk(call):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GETTEXT:
                yield node.lineno, ast.unparse(node)


def _literals(tree: ast.AST, pattern: re.Pattern[str], passed: set[str]) -> Iterator[tuple[int, str]]:
    """Find strings that match, leaving out docstrings and the arguments of the calls named in ``passed``."""
    if isinstance(tree, ast.Call) and _name(tree.func) in passed:
        return
    if isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant):
        return
    if isinstance(tree, ast.JoinedStr | ast.Constant):
        said = _said(tree)
        if pattern.search(said):
            yield tree.lineno, said
        inner = tree.values if isinstance(tree, ast.JoinedStr) else []
        for part in inner:
            if isinstance(part, ast.FormattedValue):
                yield from _literals(part.value, pattern, passed)
        return
    # The keys of what a text is filled with, and other keys, are names.
    keys = set(tree.keys) if isinstance(tree, ast.Dict) else {tree.slice} if isinstance(tree, ast.Subscript) else set()
    for child in ast.iter_child_nodes(tree):
        if child in keys or isinstance(child, ast.Compare):
            continue
        # What a call is given is a name more often than words, unless it stands in a call that was looked for.
        if pattern is WORD and isinstance(tree, ast.Call) and child is not tree.func:
            continue
        yield from _literals(child, pattern, passed)


def _said(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(_said(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _assignments(tree: ast.AST) -> dict[str, list[ast.AST]]:
    """Return what each name of a module is ever given, wherever."""
    found: dict[str, list[ast.AST]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id].append(node.value)
    return found


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
