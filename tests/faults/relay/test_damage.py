"""Each kind of damage, as a plain HTTP client meets it."""

from __future__ import annotations

import http.client
import json
import threading
import time

import pytest

from tests.faults.relay import damages
from tests.faults.relay.damages import HTML, Damage, Ending, Framing, When, edited, envelope, page
from tests.faults.relay.rules import Rule


@pytest.fixture
def damaged(relay, ask):
    """Ask once under this damage."""

    def call(damage, **asked):
        relay.add(Rule(damage))
        return ask(**asked)

    return call


@pytest.mark.parametrize(("when", "count"), [(When.BEFORE, 0), (When.AFTER, 1)])
def test_a_page_in_the_place_of_an_answer(damaged, service, when, count):
    response, body = damaged(page(404, when=when), method="PUT")
    assert (response.status, response.reason, body) == (404, "Not Found", HTML)
    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert len(service.done) == count


def test_an_envelope_with_another_code(damaged):
    response, body = damaged(envelope(409, "Conflict", "Busy.", inner="ObjectIsBeingDeleted"))
    assert response.status == 409
    assert json.loads(body)["error"] == {
        "code": "Conflict",
        "message": "Busy.",
        "innererror": {"code": "ObjectIsBeingDeleted"},
    }


def test_an_error_of_the_token_endpoint(damaged):
    _response, body = damaged(damages.entra_error(401, 7000215))
    assert json.loads(body)["error_codes"] == [7000215]


def test_another_status_with_the_same_body(damaged):
    response, body = damaged(Damage(status=503))
    assert response.status == 503
    assert json.loads(body)["path"] == "/keys/one"


def test_an_empty_body(damaged):
    response, body = damaged(Damage(body=b"", content_type="application/json"))
    assert (response.status, body, response.getheader("Content-Length")) == (200, b"", "0")


def test_edited_json(damaged):
    _response, body = damaged(edited(lambda call, value: {**value, "next": call.path}))
    assert json.loads(body)["next"] == "/keys/one"


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_cut_that_the_length_gives_away(damaged, relay, service, cut):
    response, body = damaged(Damage(cut=cut), method="PUT")
    assert len(body) == cut
    assert int(response.getheader("Content-Length")) > cut
    assert service.done == ["PUT /keys/one"]
    assert relay.seen[0].sent_bytes == cut


@pytest.mark.parametrize("framing", [Framing.SENT, Framing.CLOSE])
def test_a_cut_that_only_the_content_gives_away(damaged, framing):
    response, body = damaged(Damage(cut=40, framing=framing))
    assert (response.status, len(body)) == (200, 40)
    assert response.getheader("Content-Length") == ("40" if framing == Framing.SENT else None)


def test_a_chunked_answer_whole_and_cut(damaged, ask, relay):
    response, body = damaged(Damage(framing=Framing.CHUNKED))
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert json.loads(body)
    relay.add(Rule(Damage(framing=Framing.CHUNKED, cut=30)))
    assert len(ask()[1]) <= 30


def test_a_cut_head(damaged):
    with pytest.raises(http.client.HTTPException):
        damaged(Damage(cut_head=5))


def test_a_cut_that_ends_with_a_reset(damaged):
    # Python's TLS tells a reset that comes right after data as the end of the stream, or as what it is.
    try:
        _response, body = damaged(Damage(cut=10, ending=Ending.RESET))
    except ConnectionResetError:
        return
    assert len(body) == 10


def test_a_cut_that_ends_in_silence(damaged):
    with pytest.raises(TimeoutError):
        damaged(Damage(cut=10, ending=Ending.HANG), timeout=0.3)


def test_headers_set_and_taken_away(damaged):
    headers = {"Retry-After": "soon", "X-Where": None, "Location": "https://elsewhere.invalid/", "Date": "never"}
    response, _body = damaged(Damage(status=307, headers=headers))
    shown = {name: response.getheader(name) for name in headers}
    assert shown == headers
    assert response.getheader("Content-Type")


def test_content_type_alone(damaged):
    response, body = damaged(Damage(content_type="text/html"))
    assert response.getheader("Content-Type") == "text/html"
    assert json.loads(body)


@pytest.mark.parametrize("when", When)
def test_a_delay_on_either_side_of_the_effect(damaged, service, when):
    with pytest.raises(TimeoutError):
        damaged(Damage(when=when, delay=2), method="PUT", timeout=0.5)
    assert len(service.done) == (when == When.AFTER)
    # A request that its client has given up arrives all the same.
    deadline = time.monotonic() + 30
    while not service.done and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(service.done) == 1


def test_a_dripping_body(damaged):
    began = time.monotonic()
    _response, body = damaged(Damage(drip_seconds=0.01, drip_bytes=5))
    assert json.loads(body)
    assert time.monotonic() - began > 0.2


def test_a_large_body(damaged, relay):
    response, body = damaged(Damage(pad=3_000_000))
    assert int(response.getheader("Content-Length")) == len(body) > 3_000_000
    assert json.loads(body)
    assert relay.seen[0].sent_bytes == len(body)


@pytest.mark.parametrize(("when", "count"), [(When.BEFORE, 0), (When.AFTER, 1)])
def test_a_reset(damaged, service, when, count):
    with pytest.raises(ConnectionResetError):
        damaged(Damage(when=when, reset=True), method="PUT")
    assert len(service.done) == count


@pytest.mark.parametrize(("when", "count"), [(When.BEFORE, 0), (When.AFTER, 1)])
def test_silence(damaged, service, when, count):
    with pytest.raises(TimeoutError):
        damaged(Damage(when=when, hang=True), method="PUT", timeout=0.3)
    assert len(service.done) == count


def test_a_stopping_relay_ends_what_hangs(damaged, relay):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        damaged(Damage(hang=True), timeout=0.2)
    relay.close()
    assert time.monotonic() - began < 30


def test_calm_lets_go_what_is_silent(ask, relay):
    relay.add(Rule(Damage(hang=True)))
    threading.Timer(0.3, relay.calm).start()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(timeout=60)


def test_damage_says_what_it_is():
    assert str(page(404, cut=3)) == f"status=404, body={len(HTML)} bytes, content_type=text/html; charset=utf-8, cut=3"
    assert str(Damage()) == "none"
