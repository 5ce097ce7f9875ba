"""Texts that nobody types: what a column, a parser or a page may stumble over. UTF-8 in bytes, or no UTF-8 at all."""

from __future__ import annotations

import random
import uuid

# Shown unescaped in a page, it would be markup.
MARKUP = "<fuzz-mark onclick=x>"

_TEXTS = (
    *("", " ", "\t\n", "\0", "a\0b", "\x1b[31m", "\r\nSet-Cookie: a=b", "a\r\n\r\nb", "\x85\u2028\u2029"),
    *("\u202e", "\ufeff", "\ufffd", "\ufdd0", "\U0010ffff", "\ud800", "a\udfffb", "e\u0301", "İıſß", "\u200b"),
    *(
        "'",
        '"',
        "';--",
        "%",
        "_%",
        "\\",
        "\\u0000",
        "%00",
        "%ff",
        "{{7*7}}",
        "${7*7}",
        "{}",
        "%s%n%(a)s",
        "{0.__class__}",
    ),
    *(
        MARKUP,
        f'"{MARKUP}',
        f"'>{MARKUP}",
        f"</script>{MARKUP}",
        "javascript:alert(1)",
        "--",
        "-x",
        "x:y",
        ":",
        "=",
        "=1+1",
    ),
    *("../../etc/passwd", "//evil.example/", "/\\evil.example", "https:evil.example", "https://evil.example/", "///"),
    *(
        "https://a@evil.example",
        "https://[::1",
        "https://[v1.x]",
        "http://\u2100.example",
        "https://a:99999/",
        "https://xn--",
    ),
    *("https://" + "v" * 250 + ".vault.azure.net", "https://v.vault.azure.net:abc", "https://\u0661.vault.azure.net"),
    *(
        "a@b",
        "a" * 300 + "@example.com",
        "a@" + "b" * 300 + ".example",
        "@",
        "x=y\n" * 40,
        "=\n=",
        "a=b\na=c",
        "kmes-x=1",
    ),
    *(
        "true",
        "null",
        "on",
        "[]",
        '{"a":"\\u0000"}',
        '["\\ud800"]',
        "NaN",
        "inf",
        "-inf",
        "1e309",
        "1e9",
        "0x10",
        "1_000",
        "+1",
    ),
    *("0", "-0", "-1", "1", "3", "255", "256", "32767", "32768", "65536", "2147483647", "2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 30, "9" * 5000, "-" + "9" * 5000),
    *("١٢٣", "²", "１２", "३", "𝟙", "0" * 400 + "1", "1.5", "1,5", " 7 "),
    *("0000-00-00", "0001-01-01", "9999-12-31", "9999-12-31 23:59:59", "10000-01-01", "2026-02-30", "-0001-01-01"),
    *(
        "1970-01-01",
        "0001-01-01 00:00",
        "2026-11-28T00:00:00+14:00",
        "2026-11-28T00:00:00-23:59",
        "24:00",
        "2026-13-01",
    ),
    *(
        str(uuid.UUID(int=0)),
        str(uuid.UUID(int=2**128 - 1)),
        "{" + str(uuid.UUID(int=7)) + "}",
        f"urn:uuid:{uuid.UUID(int=7)}",
    ),
    *(
        "0" * 32,
        "0" * 33,
        "all",
        "none",
        "id",
        "-id",
        "pk",
        "password",
        "user__password",
        "?",
        "name,-name",
        "__class__",
    ),
    *(
        "x" * 65,
        "x" * 129,
        "x" * 151,
        "x" * 256,
        "x" * 501,
        "x" * 2001,
        "ü" * 300,
        "𝔘" * 300,
        "x" * 70_000,
        "a b " * 3000,
    ),
    "a" + "\u0300" * 2000,
)
_NO_UTF8 = (b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x82", b"a\x80b", b"\xf5\x80\x80\x80", b"\xfe\xff\x00a")


def odd_bytes(dice: random.Random) -> bytes:
    """Return an odd text."""
    if dice.random() < 0.06:
        return dice.choice(_NO_UTF8)
    if dice.random() < 0.08:
        return bytes(dice.randrange(256) for _ in range(dice.randrange(1, 40)))
    return dice.choice(_TEXTS).encode("utf-8", "surrogatepass")


def damaged(dice: random.Random, value: bytes) -> bytes:
    """Return a valid value with something wrong about it."""
    place = dice.randrange(len(value) + 1)
    return dice.choice(
        (
            value[:place] + odd_bytes(dice) + value[place:],
            value[:place],
            value * 2,
            value.upper(),
            value + b"\0",
            b" " + value + b" ",
            value * 300,
        )
    )
