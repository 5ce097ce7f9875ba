"""What the name of a credential accepts and refuses."""

from __future__ import annotations

import pytest

from cloudcreds import fields
from kmes.core.errors import InputError


@pytest.mark.parametrize("name", ["production", "Prod – Zürich (1)", "本番", "x" * 128, "a"])
def test_a_name_may_be_any_readable_text(name: str) -> None:
    assert fields.clean_name(f"  {name}\n") == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "needs a name"),
        ("\u200b \t", "needs a name"),
        ("x" * 129, "129 characters; at most 128"),
        ("prod 🔥", "U\\+1F525"),
        ("pr\u202eod", "U\\+202E"),
        ("a\nb", "U\\+000A"),
        ("a\x00b", "U\\+0000"),
    ],
)
def test_an_unreadable_name_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fields.clean_name(name)
    assert caught.value.field == "name"
