"""Finds, in the text of a module, where fields of models are written. Must not import the product."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.rules.repository import modules, tree

_WRITING = {"update", "create", "get_or_create", "update_or_create"}
_DEFAULTS = {"defaults", "create_defaults"}
# A name may be assigned from itself: ``rows = rows.filter(...)``.
MAX_DEPTH = 8
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Write:
    """A write of a field. ``model`` is empty where the text doesn't tell it."""

    line: int
    model: str
    field: str


@cache
def models() -> dict[str, set[str]]:
    """The models of the project, each with the names of its fields."""
    found: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(tree(path)) if path.name == "models.py" else ():
            if isinstance(node, ast.ClassDef):
                targets = [target for each in node.body if isinstance(each, ast.Assign) for target in each.targets]
                found[node.name] = {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@cache
def _related() -> dict[str, str]:
    """Models by the ``related_name`` that leads to them; a name that leads to several tells nothing."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for model in ast.walk(tree(path)) if path.name == "models.py" else ():
            for node in ast.walk(model) if isinstance(model, ast.ClassDef) else ():
                if (
                    isinstance(node, ast.keyword)
                    and node.arg == "related_name"
                    and isinstance(node.value, ast.Constant)
                ):
                    found[node.value.value].add(model.name)
    return {name: min(leads_to) for name, leads_to in found.items() if len(leads_to) == 1}


def find_writes(module: ast.Module) -> Iterator[Write]:
    """Every write of a field by a query, a constructor or an assignment."""
    for function, nodes in _scopes(module):
        names = _Names(function)
        for node in nodes:
            if isinstance(node, ast.Call):
                yield from _by_call(node, names)
            elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
                            yield Write(node.lineno, names.model_of(each.value), each.attr)


def _scopes(module: ast.Module) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Each function with its own nodes, and the module with what stands outside of functions."""
    todo: list[ast.AST] = [module]
    while todo:
        scope = todo.pop()
        inside, waiting = [], [*ast.iter_child_nodes(scope)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, _FUNCTIONS):
                todo.append(node)
                continue
            inside.append(node)
            waiting += ast.iter_child_nodes(node)
        yield scope, inside


class _Names:
    """What the names of one function stand for, as far as its text tells."""

    def __init__(self, function: ast.AST) -> None:
        self.values: dict[str, ast.expr] = {}
        self.annotations: dict[str, ast.expr] = {}
        self.items: dict[str, set[str]] = defaultdict(set)
        for node in ast.walk(function):
            if isinstance(node, ast.arg) and node.annotation is not None:
                self.annotations[node.arg] = node.annotation
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self.values[node.target.id] = node.value
            elif isinstance(node, ast.Assign):
                self._learn(node)

    def _learn(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.values[target.id] = node.value
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                self.items[target.value.id] |= _texts(target.slice)

    def model_of(self, node: ast.expr, depth: int = 0) -> str:
        """The model of a row or a query; empty where the text doesn't tell."""
        match node:
            case ast.Name(name) if depth < MAX_DEPTH:
                return self._model_of_name(name, depth)
            case ast.Attribute(rows, "objects"):
                return self.model_of(rows, depth)
            case ast.Attribute(_, attribute):
                return _related().get(attribute, "")
            case ast.Call(ast.Attribute(rows)):
                return self.model_of(rows, depth)
            case ast.Call(ast.Name(name)):
                return name if name in models() else ""
        return ""

    def _model_of_name(self, name: str, depth: int) -> str:
        if name in models():
            return name
        if name in self.annotations:
            return next((each for each in _texts(self.annotations[name]) if each in models()), "")
        return self.model_of(self.values[name], depth + 1) if name in self.values else ""

    def keys_of(self, node: ast.expr) -> set[str]:
        """The keys of a dictionary that is written out, here or before in the function."""
        if isinstance(node, ast.Dict):
            return {text for key in node.keys if key is not None for text in _texts(key)}
        if isinstance(node, ast.Name) and node.id in self.values and not isinstance(self.values[node.id], ast.Name):
            return self.keys_of(self.values[node.id]) | self.items[node.id]
        return set()


def _texts(node: ast.AST) -> set[str]:
    """The names and texts in an expression."""
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names | {str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)}


def _by_call(node: ast.Call, names: _Names) -> Iterator[Write]:
    function = node.func
    if isinstance(function, ast.Name):
        if function.id in models():
            yield from (Write(node.lineno, function.id, each.arg) for each in node.keywords if each.arg)
        elif function.id == "setattr" and isinstance(node.args[1], ast.Constant):
            yield Write(node.lineno, names.model_of(node.args[0]), str(node.args[1].value))
        return
    if not isinstance(function, ast.Attribute):
        return
    model = names.model_of(function.value)
    if function.attr == "bulk_update" and len(node.args) > 1:
        yield from (Write(node.lineno, model, field) for field in sorted(_texts(node.args[1])))
    if function.attr in _WRITING:
        for each in node.keywords:
            if each.arg and each.arg not in _DEFAULTS:
                yield Write(node.lineno, model, each.arg)
            else:
                yield from (Write(node.lineno, model, field) for field in sorted(names.keys_of(each.value)))
