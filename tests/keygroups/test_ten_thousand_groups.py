"""The Keys page with ten thousand key groups: what goes over the wire, and what a step in one of its panes costs."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keygroups.models import Key
from kmes.devtools.page_costs import MOST_MS, MOST_QUERIES
from tests.people import pages, people, static_root
from tests.ui.rows import body
from tests.ui.test_weight import files_of

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
# The page with all styles, scripts and pictures that it loads, compressed.
MOST_BYTES = 200 * 1024
RUNS = 5
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def key(redis_server) -> Key:
    """One of the keys of 10,000 groups."""
    call_command("seed", groups=10_000, keys=1_000, logs=0, verbosity=0)
    return Key.objects.select_related("group").earliest("name")


def read_selection(key: Key, keys: str) -> dict[str, str]:
    return {"ask": "1", keys: "1", "all": "1", "filter": f"q={key.group.name[:8]}"}


def test_it_is_light_and_each_step_in_a_pane_is_quick(pages, key):
    names = files_of(body(pages.get("/keys/")))
    page = pages.get("/keys/", headers={"accept-encoding": "gzip"})
    static = sum(len(gzip.compress(Path(str(finders.find(name))).read_bytes())) for name in names)
    assert len(page.content) + static <= MOST_BYTES
    pane = {**FRAGMENT, "HX-Target": "keys-pane"}
    group, vault = key.group_id, key.group.vault_id
    steps = {
        "open": lambda: pages.get("/keys/"),
        "a group": lambda: pages.get(f"/keys/?group={group}", headers=pane),
        "search": lambda: pages.get("/keys/?q=seed-0099", headers=pane),
        "search of the tree": lambda: pages.get("/keys/?q=seed-0099", headers={**FRAGMENT, "HX-Target": "keys-groups"}),
        "sort": lambda: pages.get(f"/keys/?group={group}&sort=-expires", headers=pane),
        "more groups": lambda: pages.get("/keys/?groups=90"),
        "branch of a state": lambda: pages.get("/keys/tree/?view=state&node=state:absent", headers=FRAGMENT),
        "branch of a group": lambda: pages.get(f"/keys/tree/?node=group:{group}", headers=FRAGMENT),
        "branch of a vault": lambda: pages.get(f"/keys/tree/?view=vault&node=vault:{vault}", headers=FRAGMENT),
        "details of a key": lambda: pages.get(f"/keys/{key.pk}/inspector/", headers=FRAGMENT),
        "details of a group": lambda: pages.get(f"/keys/groups/{group}/inspector/", headers=FRAGMENT),
        "menu of a key": lambda: pages.get(f"/keys/{key.pk}/actions/", headers=FRAGMENT),
        "menu of a group": lambda: pages.get(f"/keys/groups/{group}/actions/", headers=FRAGMENT),
        "menu of a vault": lambda: pages.get(f"/keys/vaults/{vault}/actions/", headers=FRAGMENT),
        "menu of the background": lambda: pages.get("/keys/actions/", headers=FRAGMENT),
        "menu of keys": lambda: pages.post(
            "/keys/selection/actions/", read_selection(key, "selection"), headers=FRAGMENT
        ),
        "menu of groups": lambda: pages.post(
            "/keys/groups/selection/actions/", read_selection(key, "group_selection"), headers=FRAGMENT
        ),
    }
    costs = {name: measure(step) for name, step in steps.items()}
    assert {name: cost for name, cost in costs.items() if cost[0] > MOST_QUERIES or cost[1] > MOST_MS} == {}


def measure(step) -> tuple[int, float]:
    """Return queries and milliseconds of processor time: others may work on this machine."""
    with CaptureQueriesContext(connection) as queries:
        answer = step()
    assert answer.status_code == 200
    # Counted at once: the next request empties the list.
    count, spent = len(queries), []
    for _run in range(RUNS):
        began = time.process_time()
        step()
        spent.append((time.process_time() - began) * 1000)
    return count, round(min(spent), 1)
