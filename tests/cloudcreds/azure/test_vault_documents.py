"""What a document of Key Vault must hold: else the SDK trips over it, or it is about something else."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudcreds.azure.answers import Answer, AskedService, SignInPlace, UnknownAnswer, judge

VAULT = "https://kv.vault.azure.net"
VERSION = "0" * 32
PLACE = SignInPlace(frozenset(), "", "https://vault.azure.net")
ATTRIBUTES = {
    "enabled": True,
    "created": 1_700_000_000,
    "updated": 1_700_000_000,
    "recoveryLevel": "Recoverable+Purgeable",
    "recoverableDays": 90,
}
KEY = {
    "key": {
        "kid": f"{VAULT}/keys/k/{VERSION}",
        "kty": "EC-HSM",
        "key_ops": ["sign"],
        "crv": "P-256",
        "x": "AQAB",
        "y": "AQAB",
    },
    "attributes": ATTRIBUTES,
    "tags": {"kmes-key": "1"},
}
DELETED = KEY | {
    "recoveryId": f"{VAULT}/deletedkeys/k",
    "deletedDate": 1_700_000_000,
    "scheduledPurgeDate": 1_707_776_000,
}
ROW = {"kid": f"{VAULT}/keys/k/{VERSION}", "attributes": ATTRIBUTES, "tags": {"kmes-key": "1"}}
PAGE = {"value": [ROW], "nextLink": f"{VAULT}:443/keys/k/versions?api-version=7.6&$skiptoken=x"}
POLICY = {
    "id": f"{VAULT}/keys/k/rotationpolicy",
    "lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}],
    "attributes": {"expiryTime": "P90D"},
}
ONE = f"/keys/k/{VERSION}"
WHOLE = {
    "key": ("GET", ONE, KEY),
    "import": ("PUT", "/keys/k", KEY),
    "KEK": ("POST", "/keys/k/create", KEY),
    "update": ("PATCH", ONE, KEY),
    "deletion": ("DELETE", "/keys/k", DELETED),
    "deleted key": ("GET", "/deletedkeys/k", DELETED),
    "recovery": ("POST", "/deletedkeys/k/recover", KEY),
    "versions": ("GET", "/keys/k/versions", PAGE),
    "keys": ("GET", "/keys", {"value": [{"kid": f"{VAULT}/keys/k", "attributes": ATTRIBUTES}], "nextLink": None}),
    "rotation policy": ("GET", "/keys/k/rotationpolicy", POLICY),
    "signature": ("POST", f"{ONE}/sign", {"kid": f"{VAULT}{ONE}", "value": "AQAB"}),
}
GONE = object()


def believed(method, path, document):
    answer = Answer(
        method,
        f"{VAULT}{path}?api-version=7.6",
        200,
        {"content-type": "application/json"},
        json.dumps(document).encode(),
    )
    try:
        judge(AskedService.VAULT, answer, PLACE)
    except UnknownAnswer:
        return False
    return True


def changed(document, place, value):
    """The document with one member replaced, or without it."""
    found = at = copy.deepcopy(document)
    *way, last = place
    for step in way:
        at = at[step]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_document_is_believed(name):
    assert believed(*WHOLE[name])


OF_ATTRIBUTES = [
    (("attributes",), GONE),
    (("attributes",), None),
    (("attributes",), {}),
    (("attributes", "enabled"), GONE),
    (("attributes", "enabled"), "false"),
    (("attributes", "created"), GONE),
    (("attributes", "created"), "1700000000"),
    (("attributes", "created"), 1.5),
    (("attributes", "created"), True),
    (("attributes", "created"), -5),
    (("attributes", "exp"), 10**18),
    (("attributes", "exp"), "soon"),
    (("attributes", "nbf"), -1),
    (("attributes", "updated"), [1]),
    (("attributes", "recoverableDays"), "many"),
    (("attributes", "recoveryLevel"), 7),
    (("tags",), ["a"]),
    (("tags",), {"a": {"b": 1}}),
]
OF_KEYS = [
    *OF_ATTRIBUTES,
    (("key", "kid"), f"{VAULT}/keys/k"),
    (("key", "kid"), f"{VAULT}/keys/other/{VERSION}"),
    (("key", "kid"), f"{VAULT}/keys/k/{VERSION}/x"),
    (("key", "kid"), f"{VAULT}/keys/k/{VERSION}?x=1"),
    (("key", "kid"), f"{VAULT}/keys/k/" + "a" * 3000),
    (("key", "kid"), f"{VAULT}/keys/k/\u043a\u043b\u044e\u0447"),
    (("key", "kid"), f"{VAULT}/keys/k/a\0"),
    (("key", "kid"), "https://[::1/keys/k/1"),
    (("key", "kty"), {}),
    (("key", "key_ops"), "sign"),
    (("key", "key_ops"), [1, None]),
    (("key", "crv"), 5),
    (("key", "x"), "!!!"),
    (("key", "x"), 5),
    (("key", "n"), "\u00e9"),
]


@pytest.mark.parametrize("name", ["key", "import", "KEK", "update", "deletion", "deleted key", "recovery"])
def test_a_key_with_a_damaged_member_is_not_believed(name):
    method, path, document = WHOLE[name]
    for place, value in OF_KEYS:
        assert not believed(method, path, changed(document, place, value)), (place, value)


@pytest.mark.parametrize("name", ["key", "update"])
def test_another_version_than_the_one_asked_about_is_not_believed(name):
    method, path, document = WHOLE[name]
    assert not believed(method, path, changed(document, ("key", "kid"), f"{VAULT}/keys/k/{'1' * 32}"))


def test_a_key_of_an_unknown_type_is_believed():
    """Somebody else's version may be of any type, and must bar no comparison."""
    for members in ({"kty": "AKP", "pub": "AQAB"}, {"kty": "OKP-HSM", "crv": "Ed25519", "x": "AQAB"}):
        assert believed("GET", ONE, KEY | {"key": {"kid": f"{VAULT}{ONE}", **members}})


@pytest.mark.parametrize("name", ["deletion", "deleted key"])
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("recoveryId", 5),
        ("recoveryId", "https://evil.example/deletedkeys/k"),
        ("recoveryId", f"{VAULT}/deletedkeys/other"),
        ("scheduledPurgeDate", None),
        ("scheduledPurgeDate", "soon"),
        ("deletedDate", 10**18),
    ],
)
def test_a_deleted_key_without_its_dates_or_its_way_back_is_not_believed(name, member, value):
    method, path, document = WHOLE[name]
    assert not believed(method, path, changed(document, (member,), value))


def test_only_a_deletion_may_name_no_way_back():
    assert believed("DELETE", "/keys/k", KEY)
    assert not believed("GET", "/deletedkeys/k", KEY)


def test_a_list_with_a_damaged_row_is_not_believed():
    for place, value in [
        *OF_ATTRIBUTES,
        (("kid",), f"{VAULT}/keys/k"),
        (("kid",), f"{VAULT}/keys/other/{VERSION}"),
        (("kid",), f"{VAULT}/secrets/k/{VERSION}"),
        (("kid",), 5),
    ]:
        assert not believed("GET", "/keys/k/versions", PAGE | {"value": [ROW, changed(ROW, place, value)]}), (
            place,
            value,
        )
    for rows in (None, {}, [None], ["x"]):
        assert not believed("GET", "/keys/k/versions", PAGE | {"value": rows})


@pytest.mark.parametrize(
    "link",
    [
        5,
        True,
        ["x"],
        " ",
        "/keys/k/versions?x=1",
        "https://[",
        "http://kv.vault.azure.net/keys/k/versions",
        "https://evil.example/keys/k/versions",
        f"{VAULT}/keys/other/versions?x=1",
        f"{VAULT}/keys?x=1",
        f"{VAULT}/keys/k/versions?a\r\nX-Injected: 1",
        f"{VAULT}/keys/k/versions?\u043a",
        f"{VAULT}/keys/k/versions?\ud800",
    ],
)
def test_a_next_page_is_one_of_the_same_list(link):
    assert not believed("GET", "/keys/k/versions", PAGE | {"nextLink": link})


def test_the_last_page_names_no_next_one():
    for end in ({"nextLink": None}, {"nextLink": ""}):
        assert believed("GET", "/keys/k/versions", PAGE | end)
    assert believed("GET", "/keys/k/versions", {"value": [ROW]})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("lifetimeActions",), None),
        (("lifetimeActions",), [None]),
        (("lifetimeActions", 0, "action"), None),
        (("lifetimeActions", 0, "action", "type"), 5),
        (("lifetimeActions", 0, "trigger"), None),
        (("lifetimeActions", 0, "trigger", "timeBeforeExpiry"), 30),
        (("id",), f"{VAULT}/keys/other/rotationpolicy"),
        (("attributes",), "x"),
        (("attributes", "expiryTime"), 5),
    ],
)
def test_a_damaged_rotation_policy_is_not_believed(place, value):
    assert not believed("GET", "/keys/k/rotationpolicy", changed(POLICY, place, value))


@pytest.mark.parametrize(
    ("member", "value"), [("value", ""), ("value", "!!"), ("value", 5), ("kid", f"{VAULT}/keys/k/1")]
)
def test_a_damaged_signature_or_one_of_another_version_is_not_believed(member, value):
    method, path, document = WHOLE["signature"]
    assert not believed(method, path, document | {member: value})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=30)
@given(name=st.sampled_from(sorted(WHOLE)), value=values)
def test_no_value_in_any_member_makes_the_judge_fail_in_another_way(name, value):
    method, path, document = WHOLE[name]
    for member in document:
        believed(method, path, document | {member: value})
