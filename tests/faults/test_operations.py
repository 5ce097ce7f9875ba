"""The matrix knows each moment and each call of each operation; a new one must be put into it."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.faults.operations import OPERATIONS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_matrix_knows_all_moments_and_calls(name, world, settings):
    operation = OPERATIONS[name]
    job = operation.prepare(world)
    passed = []
    settings.KMES_FAILPOINTS = lambda moment: moment in passed or passed.append(moment)
    world.stand_in.control("DELETE", "/_emulator/requests")
    world.run(job)
    asked = [(entry["method"], entry["path"]) for entry in world.stand_in.control("GET", "/_emulator/requests")]
    unknown = {
        call
        for call in asked
        if not call[1].startswith("/_emulator")
        and not any(call[0] == method and fnmatchcase(call[1].rstrip("/"), path) for _, method, path in operation.calls)
    }
    assert tuple(passed) == operation.moments
    assert unknown == set()
