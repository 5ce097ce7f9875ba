"""No transaction of a job is open while the device or the vault is asked.

The gateways assert it while they run; here the code is read, so that a path no test takes is seen as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules import repository

FOLDERS = ("jobs/kinds", "jobs/journal")
# What opens a transaction, and what reaches the device or the vault.
OPENERS = {"write", "atomic", "fenced"}
OPENS_A_WAY_OUT = {"gateway_for", "open_gateway", "open_vault", "get_device", "device"}
WAYS_OUT = {"gateway", "device"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def calls_out(node: ast.AST) -> bool:
    """Whether a call asks the device or the vault, or hands on what does."""
    if not isinstance(node, ast.Call):
        return False
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    names = [owner, *node.args, *(word.value for word in node.keywords)]
    is_asked = any(isinstance(name, (ast.Name, ast.Attribute)) and last_name(name) in WAYS_OUT for name in names)
    return is_asked or called(node) in OPENS_A_WAY_OUT


def last_name(node: ast.Name | ast.Attribute) -> str:
    name = node.attr if isinstance(node, ast.Attribute) else node.id
    return name.lstrip("_")


def outward_functions(tree: ast.Module) -> set[str]:
    """The functions of a module that ask the device or the vault, themselves or through another of the module."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}
    found = {name for name, node in functions.items() if any(map(calls_out, ast.walk(node)))}
    while True:
        more = {
            name
            for name, node in functions.items()
            if name not in found
            and any(isinstance(each, ast.Call) and called(each) in found for each in ast.walk(node))
        }
        if not more:
            return found
        found |= more


def opens_transaction(item: ast.withitem) -> bool:
    return isinstance(item.context_expr, ast.Call) and called(item.context_expr) in OPENERS


def calls_in_transactions(tree: ast.Module) -> Iterator[int]:
    """The lines inside a transaction at which the device or the vault is asked."""
    outward = outward_functions(tree)
    for block in ast.walk(tree):
        if not isinstance(block, ast.With):
            continue
        opened = [number for number, item in enumerate(block.items) if opens_transaction(item)]
        if not opened:
            continue
        inside = [*block.items[opened[0] + 1 :], *block.body]
        for node in (each for statement in inside for each in ast.walk(statement)):
            if calls_out(node) or (isinstance(node, ast.Call) and called(node) in outward):
                yield node.lineno


def modules() -> list[Path]:
    return [path for path in repository.modules() if path.as_posix().startswith(FOLDERS)]


def test_no_transaction_is_open_while_the_device_or_the_vault_is_asked():
    found = [f"{path}:{line}" for path in modules() for line in calls_in_transactions(repository.tree(path))]
    assert found == []


def test_the_rule_reads_every_runner():
    read = {path.as_posix() for path in modules()}
    assert {
        path.relative_to(repository.ROOT).as_posix() for path in repository.ROOT.glob("jobs/kinds/*/runner.py")
    } <= read


@pytest.mark.parametrize(
    "code",
    [
        "with run.write() as tx:\n    gateway.get_key('x')",
        "with transaction.atomic():\n    self._device.generate(spec)",
        "with run.write() as tx, gateway.expecting():\n    pass",
        "with step(run, 'x'), run.write():\n    record(gateway)",
        "with run.write():\n    run.device()",
        "with run.write():\n    look()\ndef look():\n    deeper()\ndef deeper():\n    gateway_for(run, vault).get_token()",
    ],
)
def test_the_rule_sees_a_call_in_a_transaction(code):
    assert list(calls_in_transactions(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "bundle = gateway.get_key('x')\nwith run.write() as tx:\n    tx.add_message(bundle.kid)",
        "with gateway.expecting(), run.write():\n    pass",
        "with run.write() as tx:\n    record(tx)\ndef record(tx):\n    tx.log('x')",
    ],
)
def test_the_rule_lets_other_code_pass(code):
    assert not list(calls_in_transactions(ast.parse(code)))
