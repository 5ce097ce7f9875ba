"""No text that leaves the process carries a secret it has seen in clear."""

from __future__ import annotations

import logging
import sys

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
