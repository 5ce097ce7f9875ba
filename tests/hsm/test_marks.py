"""Marks: what is encoded can't be taken for anything else, and only the device that made a mark finds it good."""

from __future__ import annotations

from dataclasses import fields, replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pkcs11 import Attribute

from hsm import mark_checks
from hsm.marks import KeyFacts, encode
from hsm.types import KeySpec
from hsm.verified import VerifiedKey
from kmes.core.errors import DeviceError
from tests.hsm.conftest import open_device
from tests.hsm.marked_keys import make_key, verify

ONE, TWO = UUID(int=1), UUID(int=2)
# Few and short, so that two draws often share parts and differ in where one ends and the next begins.
PIECES = st.text("ab:s\x00", max_size=3)
SOME_BYTES = st.binary(max_size=3)
KEYS = st.builds(
    KeyFacts,
    id=st.sampled_from([ONE, TWO]),
    group_id=st.sampled_from([ONE, TWO]),
    key_spec=PIECES,
    wrapped_private=SOME_BYTES,
    public_spki=SOME_BYTES,
)


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


@settings(max_examples=300)
@given(KEYS, KEYS, st.integers(0, 12), st.integers(0, 12))
def test_two_texts_are_equal_only_if_all_they_say_is(one, other, number, other_number):
    is_same = (one, number) == (other, other_number) and type(one) is type(other)
    assert (encode(one, number=number) == encode(other, number=other_number)) == is_same


def test_what_marks_of_released_versions_cover_stays_as_it_is():
    """A known answer: another encoding would make every mark void."""
    facts = KeyFacts(id=ONE, group_id=TWO, key_spec="P-256", wrapped_private=b"w", public_spki=b"")
    zeros = b"00000000-0000-0000-0000-00000000000"
    assert encode(facts, number=7) == (
        b"KMES mark 1\ns\0\0\0\3keys\0\0\0\0017"
        b"s\0\0\0\x24" + zeros + b"1s\0\0\0\x24" + zeros + b"2s\0\0\0\5P-256b\0\0\0\1wb\0\0\0\0"
    )


@pytest.mark.parametrize("name", [each.name for each in fields(KeyFacts)])
def test_a_key_with_one_changed_fact_is_refused(name, device):
    facts, mark = make_key(device, KeySpec.P_256)
    assert isinstance(verify(device, facts, mark), VerifiedKey)
    other, _mark = make_key(device, KeySpec.RSA_2048)
    found = verify(device, replace(facts, **{name: getattr(other, name)}), mark)
    assert isinstance(found, mark_checks.MarkError)
    assert found.code == mark_checks.WRONG


@pytest.mark.parametrize("forged", [b"", b"\0" * 32, b"\0" * 31, b"\0" * 64], ids=["none", "zeros", "short", "long"])
def test_what_is_no_mark_is_refused(forged, device):
    facts, _mark = make_key(device, KeySpec.P_256)
    assert isinstance(verify(device, facts, forged), mark_checks.MarkError)


def test_the_mark_of_another_device_is_refused(own, tmp_path):
    device, _folder = own
    facts, mark = make_key(device, KeySpec.P_256)
    device._session._forget()
    other = open_device(tmp_path / "other")
    assert isinstance(verify(other, facts, mark), mark_checks.MarkError)


def test_one_key_that_is_refused_leaves_the_others_of_its_batch_alone(device):
    made = [make_key(device, KeySpec.P_256) for _ in range(3)]
    claims = [(str(number), facts, mark) for number, (facts, mark) in enumerate(made)]
    claims[1] = ("1", claims[1][1], claims[0][2])
    found = mark_checks.check_keys(device, claims)
    assert [isinstance(one, VerifiedKey) for one in found] == [True, False, True]


def test_the_integrity_key_can_not_be_read_and_only_marks(device):
    def attributes(session, state):
        key = state.find_integrity(session)
        names = ("SENSITIVE", "EXTRACTABLE", "SIGN", "VERIFY", "WRAP", "UNWRAP", "ENCRYPT", "DECRYPT")
        return [name for name in names if key[Attribute[name]]]

    assert device._run(attributes) == ["SENSITIVE", "SIGN", "VERIFY"]


def test_a_token_of_an_earlier_release_works_but_marks_nothing_before_hsm_init(own):
    device, _folder = own
    device._session.run(
        lambda session: [key.destroy() for key in session.get_objects({Attribute.LABEL: "KMES integrity"})]
    )
    device.check_health()
    with pytest.raises(DeviceError) as refused:
        make_key(device, KeySpec.P_256)
    assert "hsm_init" in refused.value.remedy
    assert device.initialise() == ["KMES integrity"]
    assert make_key(device, KeySpec.P_256)


def test_only_keys_whose_halves_fit_are_marked_afterwards(device):
    facts, mark = make_key(device, KeySpec.P_256)
    assert device.mark_key(facts) == mark
    other, _mark = make_key(device, KeySpec.P_256)
    with pytest.raises(DeviceError) as refused:
        device.mark_key(replace(facts, wrapped_private=other.wrapped_private))
    assert refused.value.code == "wrapped_key_mismatch"
