"""What is signed: different requests never have the same bytes."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmes.core.request_signatures import encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(TEXTS, VALUES, max_size=3)
FEW = settings(max_examples=60)


def told_apart(value):
    """The value with its types, since True equals 1 in Python."""
    if isinstance(value, dict):
        return ("dict", tuple(sorted((name, told_apart(each)) for name, each in value.items())))
    if isinstance(value, list):
        return ("list", tuple(map(told_apart, value)))
    return (type(value).__name__, value)


@FEW
@given(FIELDS, FIELDS)
def test_equal_bytes_mean_equal_values(one, other):
    assert (encode("job", one) == encode("job", other)) == (repr(told_apart(one)) == repr(told_apart(other)))


@FEW
@given(FIELDS)
def test_a_value_reads_back_and_survives_a_database_as_json(fields):
    purpose, _version, read = json.loads(encode("job", fields))
    assert (purpose, told_apart(read)) == ("job", told_apart(fields))
    assert encode("job", json.loads(json.dumps(fields))) == encode("job", fields)


@FEW
@given(FIELDS, TEXTS, TEXTS)
def test_another_purpose_is_another_message(fields, one, other):
    assert (encode(one, fields) == encode(other, fields)) == (one == other)


@given(st.randoms(use_true_random=False), FIELDS)
@FEW
def test_the_order_of_names_does_not_matter(random, fields):
    names = list(fields)
    random.shuffle(names)
    assert encode("job", {name: fields[name] for name in names}) == encode("job", fields)


def test_text_can_not_move_from_one_value_to_the_next():
    assert encode("job", {"a": "x,", "b": "y"}) != encode("job", {"a": "x", "b": ",y"})
    assert encode("job", {"a": ["1", "2"]}) != encode("job", {"a": ["1,2"]})
    assert len({encode("job", {"a": value}) for value in ("1", 1, True, None, [1], {"1": 1}, "")}) == 7


@pytest.mark.parametrize("value", [1.5, b"x", {1: "x"}, [object()], uuid4(), float("nan"), "\ud800"])
def test_what_a_database_might_write_in_another_way_is_refused(value):
    with pytest.raises(ValueError, match=r"can't be signed|no name|surrogates"):
        encode("job", {"a": value})
