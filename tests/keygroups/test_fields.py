"""What each field of a key group accepts and refuses."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keygroups import fields
from kmes.core.errors import InputError

AZURE = re.compile(r"[0-9a-zA-Z-]{1,127}")


@given(st.text(max_size=140))
def test_an_accepted_azure_name_is_one_azure_takes(text: str) -> None:
    with contextlib.suppress(InputError):
        assert AZURE.fullmatch(fields.clean_azure_name(text))


@given(st.text(max_size=140))
def test_a_suggested_azure_name_is_empty_or_fits(text: str) -> None:
    suggested = fields.suggest_azure_name(text)
    assert not suggested or AZURE.fullmatch(suggested)


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("TDE prod", "TDE-prod"),
        ("Zürich/db_1", "Zurich-db-1"),
        ("  --x--  ", "x"),
        ("本番", ""),
        ("a" * 200, "a" * 127),
    ],
)
def test_the_azure_name_is_prefilled_from_the_name(name: str, suggested: str) -> None:
    assert fields.suggest_azure_name(name) == suggested


@pytest.mark.parametrize("name", ["a", "0", "-", "A-b-3", "x" * 127, "kmes-prod", "  padded \n"])
def test_azure_names_are_letters_digits_and_hyphens(name: str) -> None:
    assert fields.clean_azure_name(name) == name.strip()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "missing"),
        ("  ", "missing"),
        ("x" * 128, "128 characters"),
        ("a b", "“space”"),
        ("a_b", "“_”"),
        ("pay🔑", "“🔑”"),
        ("päy", "“ä”"),
        ("a.b", "“\\.”"),
        ("a\u200bb", "U\\+200B"),
        ("a\nb", "U\\+000A"),
        ("\uff11", "“\uff11”"),
        ("kmes-kek-ab", "kmes-kek-"),
        ("KMES-probe", "kmes-probe"),
    ],
)
def test_a_bad_azure_name_is_told_at_its_field(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fields.clean_azure_name(name)
    assert caught.value.field == "azure_name"


@pytest.mark.parametrize("name", ["payments", "Zürich · prod (1)", "本番", "x" * 128, "<b>"])
def test_a_group_may_have_any_readable_name(name: str) -> None:
    assert fields.clean_name(f" \t{name}\r\n") == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "needs a name"),
        ("\u200b ", "needs a name"),
        ("x" * 129, "129 characters; at most 128"),
        ("prod 🔥", "U\\+1F525"),
        ("a\x00b", "U\\+0000"),
        ("a\nb", "U\\+000A"),
        ("pr\u202eod", "U\\+202E"),
    ],
)
def test_an_unreadable_group_name_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fields.clean_name(name)
    assert caught.value.field == "name"


def test_rsa_keys_may_do_all_and_ecc_keys_only_sign() -> None:
    assert fields.clean_usage(["wrap", "sign", "encrypt", "sign"], spec="RSA-2048") == ("sign", "encrypt", "wrap")
    for spec in ("P-256", "P-384", "P-521", "P-256K"):
        assert fields.clean_usage(["sign"], spec=spec) == ("sign",)
        with pytest.raises(InputError, match="encrypt and decrypt") as caught:
            fields.clean_usage(["sign", "encrypt"], spec=spec)
        assert caught.value.field == "usage"


@pytest.mark.parametrize("usage", [[], ["fly"]])
def test_a_group_has_one_known_use_at_least(usage) -> None:
    with pytest.raises(InputError) as caught:
        fields.clean_usage(usage, spec="RSA-2048")
    assert caught.value.field == "usage"


@pytest.mark.parametrize(
    ("count", "unit"), [(0, "days"), (-1, "days"), (3651, "days"), (521, "weeks"), (121, "months")]
)
def test_periods_are_one_unit_to_ten_years(count: int, unit: str) -> None:
    with pytest.raises(InputError, match="from 1 to") as caught:
        fields.clean_period(count, unit, field="valid_for")
    assert caught.value.field == "valid_for"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_.]{1,20}", fullmatch=True), st.from_regex(r"[ -~]{0,30}", fullmatch=True), max_size=11
    )
)
def test_tags_read_as_they_are_shown(tags) -> None:
    stripped = {name: value.strip() for name, value in tags.items()}
    assert fields.clean_tags(fields.parse_tags(fields.show_tags(tags))) == stripped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a=1\nnonsense", "Line 2"),
        ("=1", "Line 1"),
        ("a=1\nA=2", "twice"),
        ("kmes-key=x", "kept for the console"),
        ("\n".join(f"t{number}=x" for number in range(12)), "12 tags; at most 11"),
        ("a=" + "x" * 257, "256"),
        ("a=🔑", "U\\+1F511"),
    ],
)
def test_bad_tags_are_told_at_their_field(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fields.clean_tags(fields.parse_tags(text))
    assert caught.value.field == "tags"
