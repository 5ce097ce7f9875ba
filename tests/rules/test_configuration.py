"""docs/configuration.md names every setting that the code reads, with the default that the code has."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.rules import repository

PAGE = Path("docs/configuration.md")
NAME = re.compile(r"(?:(?:KMES|AZURE_EMULATOR)_[A-Z0-9_]+|DATABASE_URL)\Z")
# What reads the environment: env.int("X", 1), environment.get("X", ""), _port(environment, "X", 8000).
READERS = {"get", "str", "int", "bool", "list", "db", "getenv", "_port"}
COMPOSE = re.compile(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?\}")
ABSENT = object()


def settings_documented(heading: str = "") -> dict[str, str]:
    """Each variable of the page's tables and its default; of one section only, when named."""
    sections = re.split(r"^## ", repository.text(PAGE), flags=re.MULTILINE)
    found: dict[str, str] = {}
    for section in sections[1:]:
        title = section.partition("\n")[0]
        if (title == heading) if heading else (title != "Docker Compose"):
            found |= dict(re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+?) \|", section, re.MULTILINE))
    return found


@cache
def names_mentioned() -> dict[str, set[str]]:
    """Each setting's name that stands in the code as a text, and the files."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in repository.modules(tests=True):
        for node in ast.walk(repository.tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.match(node.value):
                found[node.value].add(str(path))
    return found


@cache
def names_read() -> set[str]:
    """Each setting that is read: as an argument of a reader, by a subscript, or as one of several in a tuple."""
    found = set(defaults_in_code())
    for path in repository.modules(tests=True):
        for node in ast.walk(repository.tree(path)):
            within: list[ast.expr] = []
            if isinstance(node, ast.Subscript):
                within = [node.slice]
            elif isinstance(node, ast.Compare):
                within = [node.left]
            elif isinstance(node, (ast.Tuple, ast.List)):
                within = node.elts
            elif isinstance(node, ast.Assign):
                # MARK = "…": read by the constant's name.
                within = [node.value]
            elif isinstance(node, ast.Call) and repository.is_test(path):
                within = node.args
            found |= {one.value for one in within if isinstance(one, ast.Constant) and NAME.match(str(one.value))}
    return found


@cache
def defaults_in_code() -> dict[str, list[Any]]:
    """What each reading of a setting falls back on: a literal, or ABSENT where none is given or it is computed."""
    found: dict[str, list[Any]] = defaultdict(list)
    for path in repository.modules():
        for node in ast.walk(repository.tree(path)):
            if isinstance(node, ast.Call) and _name_of(node.func) in READERS:
                for position, argument in enumerate(node.args):
                    if isinstance(argument, ast.Constant) and NAME.match(str(argument.value)):
                        found[argument.value].append(_default(node, position + 1))
    return found


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _default(call: ast.Call, position: int) -> Any:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "default"] + call.args[
        position : position + 1
    ]
    try:
        return ast.literal_eval(given[0]) if given else ABSENT
    except ValueError:
        return ABSENT


def as_shown(value: Any, *, is_switch: bool) -> str:
    """How the page writes a default."""
    if is_switch:
        return "on" if str(value) in {"1", "True"} else "off"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return str(value) if value != "" else "–"


def is_switch(shown: str) -> bool:
    return shown in {"on", "off"}


def test_every_setting_is_documented():
    missing = {name: files for name, files in names_mentioned().items() if name not in settings_documented()}
    assert missing == {}


def test_every_documented_setting_is_read():
    passed_on = {name for name, _given in COMPOSE.findall(repository.text(Path("docker-compose.yml")))}
    for_compose_only = set(settings_documented("Docker Compose alone"))
    assert for_compose_only <= passed_on
    assert set(settings_documented()) - names_read() == for_compose_only


@pytest.mark.parametrize("name", sorted(settings_documented()))
def test_a_default_is_what_the_code_has(name):
    shown = settings_documented()[name].replace("`", "")
    literals = [value for value in defaults_in_code().get(name, []) if value is not ABSENT]
    assert {as_shown(value, is_switch=is_switch(shown)) for value in literals} <= {shown}


def test_what_docker_compose_passes_on_is_documented_with_its_own_defaults():
    own = settings_documented("Docker Compose")
    different = {}
    for name, given in COMPOSE.findall(repository.text(Path("docker-compose.yml"))):
        shown = settings_documented()[name].replace("`", "")
        default = as_shown(given, is_switch=is_switch(shown))
        if default != shown:
            different[name] = default
    assert different == {name: default.replace("`", "") for name, default in own.items()}


def test_the_settings_say_where_they_are_documented():
    assert str(PAGE) in (ast.get_docstring(repository.tree(Path("kmes/settings.py"))) or "")


def test_readme_shows_settings_that_exist():
    shown = re.findall(r"`((?:KMES|AZURE_EMULATOR)_[A-Z0-9_]+)`", repository.text(Path("README.md")))
    assert set(shown) - set(settings_documented()) == set()
