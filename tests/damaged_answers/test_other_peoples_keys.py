"""A key that somebody else put beside ours is never taken for one of ours, whatever it is."""

from __future__ import annotations

import pytest

from jobs.kinds.rotate.spec import request_rotation
from tests.damaged_answers.harness import made_versions_agree
from tests.faults.relay.damages import edited

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    "members",
    [
        {"kty": "AKP-HSM", "pub": "AQAB"},
        {"kty": "OKP-HSM", "crv": "Ed25519", "x": "AQAB"},
        {"kty": "EC-HSM", "crv": "SECP256K1"},
        {"kty": "EC-HSM", "crv": "brainpoolP256r1"},
        {"kty": "oct-HSM"},
        {"kty": "Frobnicated"},
    ],
    ids=lambda members: f"{members['kty']} {members.get('crv', '')}".strip(),
)
def test_a_strangers_key_of_an_unknown_type_disturbs_nothing(world, members):
    world.push_one()
    stranger = world.push_of_somebody_else()

    def disguise(_call, value):
        key = {"kid": value["key"]["kid"], "key_ops": ["sign"], **members}
        if members["kty"] == "EC-HSM":
            key = {**value["key"], **members}
        return {**value, "key": key}

    world.damage(edited(disguise), "GET", f"/keys/payments/{stranger}", count=None)
    assert world.compare().state == "succeeded"
    (key,) = world.make_keys("two")
    push = world.push(key)
    world.work(push)
    world.rest(push)
    assert push.state == "succeeded", world.words(push)
    rotation = request_rotation(group=world.group, actor=world.actor)
    world.work(rotation)
    world.rest(rotation)
    assert rotation.state == "succeeded", world.words(rotation)
    made_versions_agree(world)
