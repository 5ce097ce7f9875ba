"""The header Retry-After: seconds or a date, which is one of the sender's clock."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from cloudcreds.azure.retry_after import read_retry_after
from kmes.core.clock import now


def http_date(**ahead):
    return format_datetime((now() + timedelta(**ahead)).replace(microsecond=0), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("-0", 0),
        ("-7", 0),
        ("1e3", 1000),
        ("", None),
        ("soon", None),
        ("1, 2", None),
    ],
)
def test_seconds_are_never_negative(text, seconds):
    assert read_retry_after(text) == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "Wed, 99 Foo 2026 07:28:00 GMT"])
def test_what_is_no_time_asks_for_nothing(text):
    assert read_retry_after(text) is None


@pytest.mark.parametrize("hours", [-3, 0, 3])
def test_a_date_is_compared_with_the_date_of_its_answer_where_this_clock_is_wrong(hours):
    wait = read_retry_after(http_date(hours=hours, seconds=20), http_date(hours=hours))
    assert wait is not None
    assert wait <= 20
    if hours >= 0:
        assert wait >= 19


@pytest.mark.parametrize("date", ["Wed, 21 Oct 2015 07:28:00 GMT", "yesterday", ""])
def test_a_stray_date_of_the_answer_makes_no_wait_longer(date):
    wait = read_retry_after(http_date(seconds=20), date)
    assert wait is not None
    assert 18 <= wait <= 20


def test_a_date_may_be_written_in_another_zone():
    text = format_datetime((now() + timedelta(seconds=20)).astimezone().replace(microsecond=0))
    wait = read_retry_after(text)
    assert wait is not None
    assert 18 <= wait <= 20
