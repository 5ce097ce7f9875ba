"""The relay passes calls on, keeps its rules to the calls they speak of, and notes what came by."""

from __future__ import annotations

import json
import random

import pytest

from tests.faults.relay.calls import Call, Part
from tests.faults.relay.conftest import open_connection
from tests.faults.relay.damages import Damage, When, page
from tests.faults.relay.drawing import Dice
from tests.faults.relay.rules import Rule, RuleList


def _call(method="GET", target="/keys/one?api-version=7.6", headers=(("Authorization", "Bearer x"),), port=1):
    return Call(method, target, tuple(headers), b"", "127.0.0.1", port)


def test_an_answer_comes_through_as_it_is(ask, service, relay):
    response, body = ask("PUT", "/keys/one", body=b"{}", headers={"Content-Type": "application/json"})
    assert response.status == 200
    assert response.getheader("Content-Type") == "application/json; charset=utf-8"
    assert json.loads(body)["path"] == "/keys/one"
    assert service.done == ["PUT /keys/one"]
    (seen,) = relay.seen
    assert seen.call.body == b"{}"
    assert seen.was_forwarded
    assert seen.had_effect
    assert seen.sent_status == 200
    assert seen.damage == ""


def test_addresses_of_the_service_become_those_of_the_relay(ask, service, relay):
    response, body = ask()
    own = relay.url_for(f"https://127.0.0.1:{service.port}")
    assert json.loads(body)["next"] == f"{own}/more"
    assert response.getheader("X-Where") == own


def test_several_calls_share_a_connection(relay, service, authority):
    with open_connection(relay.url_for(f"https://127.0.0.1:{service.port}"), authority) as connection:
        for number in range(3):
            connection.request("GET", f"/keys/{number}")
            assert connection.getresponse().read()
    assert len(service.done) == 3


def test_a_rule_keeps_to_method_path_count_and_skip(ask, relay):
    rule = relay.add(Rule(page(404), method="GET", path="/keys/*/versions", skip=1))
    assert ask("GET", "/keys/one")[0].status == 200
    assert ask("PUT", "/keys/one/versions")[0].status == 200
    assert [ask("GET", "/keys/one/versions")[0].status for _ in range(3)] == [200, 404, 200]
    assert rule.hits == 1


def test_a_rule_without_count_holds_until_it_is_calm(ask, relay):
    relay.add(Rule(page(503), count=None))
    assert {ask()[0].status for _ in range(3)} == {503}
    relay.calm()
    assert ask()[0].status == 200


def test_requests_without_token_are_left_alone_unless_meant(ask, relay):
    relay.add(Rule(page(404)))
    assert ask(headers={"Authorization": ""})[0].status == 200
    assert ask()[0].status == 404
    relay.add(Rule(page(403), probes=True))
    assert ask(headers={"Authorization": ""})[0].status == 403


def test_a_rule_can_speak_of_one_port_or_one_query():
    rule = Rule(page(404), port=2, query="skiptoken")
    assert not rule.matches(_call(port=1, target="/keys/one/versions?$skiptoken=x"))
    assert not rule.matches(_call(port=2))
    assert rule.matches(_call(port=2, target="/keys/one/versions?$skiptoken=x"))


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("/tenant/oauth2/v2.0/token", Part.TOKEN),
        ("/tenant/oauth2/v2.0/token?client-request-id=1", Part.TOKEN),
        ("/tenant/v2.0/.well-known/openid-configuration", Part.DISCOVERY),
        ("/common/discovery/instance?x=1", Part.DISCOVERY),
        ("/subscriptions?api-version=1", Part.MANAGER),
        ("/subscriptions/1/providers/Microsoft.KeyVault/vaults", Part.MANAGER),
        ("/keys/token-signing/versions", Part.VAULT),
        ("/deletedkeys/one", Part.VAULT),
    ],
)
def test_the_path_tells_the_part_of_the_cloud(target, part):
    assert _call(target=target).part == part


def test_the_observer_tells_effects_from_calls(ask, relay):
    relay.add(Rule(page(502, when=When.BEFORE)))
    ask("PUT", "/keys/one")
    relay.add(Rule(page(502)))
    ask("PUT", "/keys/one")
    assert [seen.sent_status for seen in relay.calls("PUT")] == [502, 502]
    assert len(relay.effects("PUT", "/keys/*")) == 1
    assert [seen.was_forwarded for seen in relay.calls("PUT")] == [False, True]


def test_a_client_that_trusts_others_is_noted(relay, service, tmp_path):
    from tests.faults.relay.certificates import Authority

    other = Authority.make(tmp_path, "Other CA")
    url = relay.url_for(f"https://127.0.0.1:{service.port}")
    with open_connection(url, other) as connection, pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        connection.request("GET", "/")
    assert service.done == []


def test_a_service_that_is_gone_resets_the_client(relay, service, ask):
    service.shutdown()
    service.server_close()
    with pytest.raises(ConnectionResetError):
        ask()
    assert relay.seen[0].failures


# --- dice ---------------------------------------------------------------------------------------
def _story(seed, calls):
    rules = RuleList(seed)
    rules.add(Rule(Dice(), count=None, chance=0.5))
    return [str(rules.take(call)) for call in calls]


def test_the_same_seed_gives_the_same_damage():
    calls = [_call(method) for method in ("GET", "PUT", "PATCH") for _ in range(30)]
    assert _story(1, calls) == _story(1, calls)
    assert _story(1, calls) != _story(2, calls)


def test_other_calls_and_random_ids_do_not_change_the_luck():
    mine = [_call("PUT")] * 20
    mixed = [each for call in mine for each in (_call("GET"), call)]
    assert _story(3, mine) == _story(3, mixed)[1::2]
    first, second = (_call(target=f"/keys/kmes-kek-{job}/{job[1:] * 10}ab") for job in ("j4fa", "j0bc"))
    assert first.label == second.label


def test_dice_draw_every_kind_of_damage():
    dice = random.Random(1)
    drawn = [Dice()(dice, _call()) for _ in range(2000)]
    for name in ("status", "body", "headers", "cut", "cut_head", "delay", "reset", "hang"):
        assert any(getattr(damage, name) for damage in drawn), name
    assert {damage.when for damage in drawn} == set(When)
    assert {damage.status for damage in drawn} >= {200, 302, 401, 404, 408, 409, 429, 500}


def test_damage_of_an_answer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="before the effect"):
        Damage(when=When.BEFORE, cut=10)
