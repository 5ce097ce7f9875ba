"""Property tests: any 404 that is not Key Vault's own, any cut of any answer, any answer that is not the service's."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.models import Job
from keygroups.models import CloudVersion, Key
from tests.damaged_answers.harness import DELETED, IN_EXAMPLES, KEKS, KEY, ONE_VERSION, VERSIONS, made_versions_agree
from tests.faults.relay.damages import Damage, Ending, Framing, When

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "value"]), inner, max_size=3)
    ),
    max_leaves=6,
)
codes = st.text(alphabet=st.characters(codec="ascii"), max_size=30).filter(lambda text: text != "KeyNotFound")
strange_bodies = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.builds(lambda value: json.dumps(value).encode(), json_texts),
    st.builds(lambda code: json.dumps({"error": {"code": code, "message": "x"}}).encode(), codes),
)
types = st.sampled_from(["", "text/html", "text/plain", "application/json", "application/json; charset=utf-8"])


@IN_EXAMPLES
@given(body=strange_bodies, content_type=types)
@example(body=b'{"error":{"code":"NotFound","message":"KeyNotFound"}}', content_type="application/json")
@example(body=b'{"error":{"code":"VaultNotFound","message":"x"}}', content_type="application/json")
@example(body=b'{"error":"KeyNotFound"}', content_type="application/json")
@example(body=b"KeyNotFound", content_type="text/plain")
def test_any_404_that_is_not_key_vaults_own_proves_nothing(world, body, content_type):
    if not world.group.cloud_versions.exists():
        world.push_one()
    for method, path in (("GET", VERSIONS), ("GET", ONE_VERSION), ("GET", DELETED)):
        world.group.observations.all().delete()
        world.damage(
            Damage(when=When.BEFORE, status=404, body=body, content_type=content_type), method, path, count=None
        )
        world.compare()
        world.calm()
        assert world.states() == {"first": "active"}


@IN_EXAMPLES
@given(
    cut=st.integers(0, 700),
    framing=st.sampled_from(list(Framing)),
    ending=st.sampled_from([Ending.CLOSE, Ending.RESET]),
    call=st.sampled_from([("PUT", KEY), ("PATCH", ONE_VERSION), ("POST", KEKS + "/create"), ("GET", VERSIONS)]),
)
@example(cut=0, framing=Framing.SENT, ending=Ending.CLOSE, call=("PUT", KEY))
@example(cut=1, framing=Framing.CLOSE, ending=Ending.CLOSE, call=("PATCH", ONE_VERSION))
def test_any_cut_of_any_answer_ends_well(world, cut, framing, ending, call):
    keys = world.make_keys(f"key-{Key.objects.count()}")
    rule = world.damage(Damage(cut=cut, framing=framing, ending=ending), *call)
    push = world.push(*keys)
    world.work(push)
    world.rest(push)
    switch = request_set_enabled(version=keys[0].cloud_versions.get(), enabled=False, actor=world.actor)
    world.work(switch)
    world.rest(switch)
    assert rule.hits == 1
    world.calm()
    assert (push.state, switch.state) == ("succeeded", "succeeded"), world.words(push) + world.words(switch)
    made_versions_agree(world)
    assert CloudVersion.objects.get(key=keys[0]).state == "disabled"
    assert not Job.objects.filter(state__in=["queued", "running"]).exists()


@IN_EXAMPLES
@given(
    status=st.integers(200, 599),
    body=strange_bodies,
    content_type=types,
    retry_after=st.sampled_from([None, "0", "1", "soon"]),
)
def test_any_answer_that_is_not_the_services_own_leaves_a_push_right(world, status, body, content_type, retry_after):
    keys = world.make_keys(f"key-{Key.objects.count()}")
    headers = {"Retry-After": retry_after} if retry_after else {}
    world.damage(Damage(status=status, body=body, content_type=content_type, headers=headers), "PUT", KEY)
    push = world.push(*keys)
    world.work(push)
    world.rest(push)
    assert push.state == "succeeded", world.words(push)
    made_versions_agree(world)
