"""One state is shown of each group, key and version, by every page alike, whatever the vault was put to."""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from keygroups import drift, lifecycle, states
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.keygroups.builders import make_group, make_key, push
from tests.keygroups.state_world import BEGIN, StateWorld, contradictions, counts_agree, readings

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
NUMBER = st.integers(0, 5)
CHANGES = st.sampled_from(
    [
        {"enabled": False},
        {"enabled": True},
        {"expires_on": BEGIN + timedelta(days=900)},
        {"not_before": BEGIN + timedelta(days=30)},
        {"tags": {"owner": "somebody"}},
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.fixed_dictionaries({"enabled": st.booleans()})),
        st.tuples(st.just("make_stranger"), st.fixed_dictionaries({"enabled": st.booleans()})),
        st.builds(lambda number, changes: ("change", {"number": number, **changes}), NUMBER, CHANGES),
        st.tuples(st.just("switch"), st.fixed_dictionaries({"number": NUMBER, "enabled": st.booleans()})),
        st.tuples(st.sampled_from(["compare", "delete", "recover", "purge"]), st.just({})),
        st.tuples(st.just("compare"), st.just({})),
        st.tuples(st.just("accept"), st.fixed_dictionaries({"number": NUMBER})),
    ),
    min_size=3,
    max_size=8,
)
COMPARE = ("compare", {})
DISABLED = ("change", {"number": 0, "enabled": False})
KNOWN_WORLDS = (
    [DISABLED],
    [DISABLED, COMPARE, ("switch", {"number": 0, "enabled": True})],
    [DISABLED, COMPARE, ("accept", {"number": 0}), ("push", {"enabled": True})],
    [("change", {"number": 0, "not_before": BEGIN + timedelta(days=30)})],
    [("change", {"number": 0, "expires_on": BEGIN + timedelta(days=900)}), COMPARE, ("delete", {})],
    [("make_stranger", {"enabled": True})],
    [("make_stranger", {"enabled": True}), COMPARE, ("accept", {"number": 0})],
    [("make_stranger", {"enabled": True}), COMPARE, ("push", {"enabled": True})],
    [("push", {"enabled": False})],
    [("push", {"enabled": True}), DISABLED, COMPARE, ("delete", {}), ("recover", {})],
    [("push", {"enabled": True}), ("delete", {}), ("purge", {}), ("push", {"enabled": True})],
)
EXAMPLES = 150 if os.environ.get("FAULTS") == "all" else 6
_numbers = count()


def in_known_worlds(test):
    """Try these before the random ones."""
    for steps in KNOWN_WORLDS:
        test = example(steps=steps)(test)
    return test


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,
    # No search for a smaller world: each costs several pages.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@in_known_worlds
@given(steps=STEPS)
def test_no_page_contradicts_another_and_all_say_what_was_seen(steps, vault, custodian, pages) -> None:
    world = StateWorld(make_group(vault, f"group-{next(_numbers)}", key_spec="P-256"), custodian)
    world.push(enabled=True)
    for name, arguments in steps:
        getattr(world, name)(**arguments)
    assert list(contradictions(world.group, readings(world.group, pages))) == []
    assert counts_agree(KeyGroup.objects.all())
    world.compare()
    of_group, of_keys = readings(world.group, pages)
    assert list(contradictions(world.group, (of_group, of_keys))) == []
    if world.held and not world.is_deleted():
        assert {name: of_keys[name] for name in world.truth()} == {name: {text} for name, text in world.truth().items()}
        assert of_group == {world.group_truth()}


@pytest.fixture
def head(group, pages):
    """What the group's page says, without markup between words."""

    def read():
        return " ".join(pages.get("/keys/", {"group": group.pk}).content.decode().split())

    return read


def look(group, version=None, **changes):
    """Record a look at a version that is as it should be but for the changes; without one, at a stranger's."""
    name = version.azure_version if version else "9" * 32
    tags = drift.console_tags(version) if version else {}
    values = {"azure_version": name, "kid": "", "enabled": True, "tags": tags, **changes}
    row = drift.observe(group, version, drift.Seen(**values))
    drift.recount(group, is_compared=True)
    return row


def test_a_group_whose_newest_version_arrived_disabled_says_that_none_is_active(group, head) -> None:
    push(make_key(group, "old"))
    assert "No version is active" not in head()
    push(make_key(group, "new"), enabled=False)
    page = head()
    assert "In the vault, no active version" in page
    assert "No version is active: the vault&#x27;s current version is disabled" in page
    assert "does not fall back" in page


def test_a_group_whose_current_version_is_a_strangers_says_so_even_if_it_is_accepted(group, head) -> None:
    push(make_key(group))
    row = look(group)
    lifecycle.record_current(group=group, azure_version=row.azure_version)
    assert f"current version {row.azure_version} was not made here" in head()
    type(row).objects.update(is_accepted=True)
    drift.recount(group)
    assert "In the vault, no active version" in head()
    assert f"current version {row.azure_version} was not made here" in head()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"not_before": now() + timedelta(days=3)}, "refuses to use the active version before"),
        ({"expires_on": now() - timedelta(days=3)}, "The active version expired at"),
    ],
)
def test_a_group_whose_active_version_is_outside_its_dates_says_so(group, head, changes, words) -> None:
    version = push(make_key(group))
    look(group, version, **changes)
    assert words in head()
    assert "In the vault, differs" in head()


def test_an_expiry_set_outside_counts_in_tables_and_reports(group, pages) -> None:
    version = push(make_key(group))
    look(group, version, expires_on=now() + timedelta(days=5))
    assert f"{now() + timedelta(days=5):%Y-%m-%d}" in pages.get("/keys/", {"group": group.pk}).content.decode()
    assert "first" in pages.get("/reports/expiring/").content.decode()


def test_the_versions_of_a_key_show_which_is_current_and_whose(group, pages) -> None:
    key = push(make_key(group)).key
    row = look(group)
    lifecycle.record_current(group=group, azure_version=row.azure_version)
    page = pages.get(key.get_absolute_url()).content.decode()
    table = page.partition('id="key-versions"')[2]
    assert table.index("Not made here") < table.index("current") < table.index("Superseded")
    assert table.count(">current<") == 1


def test_each_state_has_its_words_and_no_other_value_is_ever_given(group) -> None:
    version = push(make_key(group))
    for state in states.VersionState.values:
        for differs in (False, True):
            CloudVersion.objects.filter(pk=version.pk).update(state=state, differs=differs)
            version.refresh_from_db()
            value = CloudVersion.objects.values_list(states.version_state(), flat=True).get()
            assert states.of_version(version) == states.VERSION_STATES[value]
    for state in states.GroupCloudState.values:
        for differences in (0, 2):
            KeyGroup.objects.update(cloud_state=state, differences=differences)
            assert states.of_group(group).differs == bool(differences)
