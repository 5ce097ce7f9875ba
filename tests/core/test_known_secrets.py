"""No text that leaves the process carries a secret it has seen in clear."""

from __future__ import annotations

import logging
import sys
import time

import pytest

from kmes.core import known_secrets
from kmes.core.known_secrets import MaskingFormatter, mask, remember

SECRET = "s3cret-value-of-a-client"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(known_secrets, "_values", type(known_secrets._values)())


def test_a_known_secret_is_masked_wherever_it_stands():
    remember(SECRET)
    assert mask(f"x{SECRET}y {SECRET}") == "x***y ***"


def test_a_traceback_is_masked_as_well():
    remember(SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "failed with %s", (SECRET,), sys.exc_info())
    line = MaskingFormatter().format(record)
    assert SECRET not in line
    assert "ValueError: ***" in line


def test_a_short_value_masks_nothing():
    remember("key")
    assert mask("the key group") == "the key group"


def test_only_so_many_are_kept_the_newest_ones():
    for number in range(known_secrets.MAX_KEPT + 1):
        remember(f"token-number-{number:04}")
    assert mask("token-number-0000") == "token-number-0000"
    assert mask(f"token-number-{known_secrets.MAX_KEPT:04}") == "***"


def test_the_process_log_is_masked(settings):
    assert settings.LOGGING["formatters"]["plain"]["()"] == "kmes.core.known_secrets.MaskingFormatter"


def formatted(message, *arguments, error=None):
    record = logging.LogRecord("n", logging.WARNING, "p", 1, message, arguments, error)
    record.created, record.msecs = 1_790_000_000.25, 250
    return MaskingFormatter("%(asctime)s %(levelname)s %(message)s").format(record)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\v", "\f", "\x1b[2K", "\x85", "\N{LINE SEPARATOR}"])
def test_nothing_in_a_message_begins_an_entry_of_the_process_log(end):
    forged = f"/jobs/{end}2026-09-21T14:13:21.000Z ERROR forged"
    entry = formatted("GET %s: the database does not answer", forged)
    assert len(entry.splitlines()) == 1
    assert end not in entry


def test_the_lines_of_a_traceback_are_indented_whatever_the_error_says():
    try:
        raise ValueError("x\n2026-09-21T14:13:21.000Z ERROR forged")
    except ValueError:
        entry = formatted("failed", error=sys.exc_info())
    assert "ERROR forged" in entry
    assert [line for line in entry.splitlines()[1:] if not line.startswith("    ")] == []


def test_an_entry_begins_with_its_time_in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert formatted("x") == "2026-09-21T14:13:20.250Z WARNING x"
    finally:
        monkeypatch.undo()
        time.tzset()
