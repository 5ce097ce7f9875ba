"""Draws requests: the same seed, number and rows give the same request."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, urlsplit

from kmes.devtools.fuzz.addresses import Arguments, PageForm, Route, all_routes, parameter_names, target_names
from kmes.devtools.fuzz.odd_values import damaged, odd_bytes
from kmes.devtools.fuzz.targets import PARAMETERS, ROLES

CSRF = "f" * 32
MAX_QUERY = 30_000
BOUNDARY = b"fuzz-boundary"
NOBODY = ""
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "post")
_METHOD_WEIGHTS = (34, 50, 4, 3, 2, 2, 2, 1, 1, 1)
_CHARSETS = (
    "utf-8",
    "utf-16",
    "utf-7",
    "hex",
    "rot13",
    "idna",
    "unicode_escape",
    "latin-1",
    "x" * 300,
    "undefined",
    '"',
)
_TYPES = (
    "application/json",
    "text/plain",
    "",
    "multipart/form-data",
    "multipart/mixed; boundary=x",
    "a/b; c",
    "\xff/\xff",
    "a/b; x*=hex''%41",
    "a" * 20_000,
)
_HEADERS: dict[str, tuple[str, ...]] = {
    "HTTP_ACCEPT": ("", "*/*", "application/json", "image/*;q=9", "text/html;q=abc", ";,;,", "a" * 3000),
    "HTTP_ACCEPT_LANGUAGE": (
        "de",
        "xx-YY",
        "*",
        "en;q=1e9",
        "zh-Hant-" + "a" * 600,
        "-" * 6000,
        "\xff",
        ";q=0.1," * 300,
    ),
    "HTTP_ACCEPT_ENCODING": ("gzip", "br;q=", "identity;q=0, *;q=0"),
    "HTTP_RANGE": ("bytes=0-0", "bytes=-5", "bytes=9-1", "bytes=0-,0-,0-", "lines=1", "bytes=" + "9" * 400 + "-"),
    "HTTP_IF_NONE_MATCH": ("*", '"x"', "W/" + '"' * 300, "\xff"),
    "HTTP_IF_MATCH": ("*", '"x"'),
    "HTTP_IF_MODIFIED_SINCE": ("Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 99 Foo 99999 00:00:00 GMT", "x", "9" * 400),
    "HTTP_IF_UNMODIFIED_SINCE": ("Thu, 01 Jan 1970 00:00:00 GMT", "x"),
    "HTTP_HOST": ("localhost", "evil.example", "localhost:x", "[::1", "", "a..b", "\xff", "127.0.0.1:99999", "x" * 500),
    "HTTP_ORIGIN": ("null", "https://evil.example", "http://testserver", "http://[", "\xff"),
    "HTTP_REFERER": (
        "http://[",
        "https://evil.example/",
        "http://testserver/jobs/?view=x&page=",
        "\xff",
        "x" * 5000,
        "//",
    ),
    "HTTP_USER_AGENT": ("", "x" * 5000, "\xff\xfe", "a\0b", "<b>"),
    "HTTP_X_FORWARDED_FOR": ("1.2.3.4", ",,,", "::1%eth0", "9.9.9.9:80, x", "[", "a" * 3000),
    "HTTP_X_FORWARDED_PROTO": ("https", "x"),
    "HTTP_X_FORWARDED_HOST": ("evil.example",),
    "HTTP_AUTHORIZATION": ("Bearer x", "Bearer \xff", "Basic " + "=" * 50, "Token", ""),
    "HTTP_X_HTTP_METHOD_OVERRIDE": ("DELETE",),
    "HTTP_X_CSRFTOKEN": ("x", "\xff"),
    "HTTP_HX_REQUEST": ("true", "false", "\xff"),
    "HTTP_HX_BOOSTED": ("true",),
    "HTTP_HX_CURRENT_URL": (
        "http://testserver/jobs/",
        "http://[",
        "//evil.example/",
        "x" * 5000,
        "\xff",
        "http://a]b/",
    ),
    "HTTP_HX_CURRENT_URL_URI_AUTOENCODED": ("true",),
    "HTTP_HX_TRIGGER_NAME": ("sign_in", "x" * 500, "\xff"),
    "HTTP_HX_TRIGGERING_EVENT": ("{", '{"a":' * 300, "\xff"),
    "HTTP_HX_PROMPT": ("%ff",),
    "HTTP_X_KMES_POLL": ("1",),
    "HTTP_COOKIE": (
        "kmes_session=x",
        "kmes_session=" + "x" * 9000,
        "kmes_user=1:x:y",
        "a=b;" * 500,
        "\xff=\xfe",
        "kmes_csrf=",
    ),
}
Fields = list[tuple[bytes, bytes]]


@dataclass
class FuzzRequest:
    """One request, before it is sent. ``who`` is a role, or NOBODY."""

    who: str
    method: str
    path: str
    query: bytes = b""
    content_type: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        sent = f"{self.body[:300]!r}{'…' if len(self.body) > 300 else ''}"
        address = f"{self.path[:300]}?{self.query[:300].decode('latin-1')}"
        return f"{self.who or 'nobody'} {self.method} {address} {self.headers} {self.content_type!r} {sent}"


@dataclass
class Surroundings:
    """What was found on the console's pages; requests are drawn from it."""

    routes: list[Route] = field(default_factory=all_routes)
    names: list[str] = field(default_factory=parameter_names)
    parts: list[str] = field(default_factory=target_names)
    arguments: Arguments = field(default_factory=Arguments)
    # By method.
    forms: dict[str, list[PageForm]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


def draw(dice: random.Random, around: Surroundings) -> FuzzRequest:
    """Return a request that is wrong in some ways, or in none."""
    who = dice.choice((NOBODY, *ROLES, "admin"))
    method = dice.choices(METHODS, _METHOD_WEIGHTS)[0]
    if method in {"GET", "POST"} and dice.random() < 0.6 and (form := _choose_form(dice, around, method)) is not None:
        # The forms are those of an administrator's pages; others mostly lack the right.
        return _draw_sent(dice, around, "admin" if dice.random() < 0.6 else who, form)
    path, query = _address(dice, around)
    request = FuzzRequest(who, method, path, query)
    if dice.random() < 0.5:
        request.query = _encode(_draw_fields(dice, around, split_query(query)))
    if method not in {"GET", "HEAD"}:
        _add_body(dice, request, _draw_fields(dice, around, [], encode=False))
    _add_headers(dice, request, around)
    return request


def split_query(query: bytes) -> Fields:
    """Return the pairs of a query string, still encoded by percent signs."""
    pairs = (part.partition(b"=") for part in query.split(b"&") if part)
    return [(name, value) for name, _sign, value in pairs]


def _address(dice: random.Random, around: Surroundings) -> tuple[str, bytes]:
    if around.links and dice.random() < 0.4:
        parts = urlsplit(dice.choice(around.links))
        return parts.path, parts.query.encode()
    route = dice.choice(around.routes)
    query = _encode(_draw_fields(dice, around, [])) if dice.random() < 0.3 else b""
    return around.arguments.path(route, dice, oddness=0.15), query


def _choose_form(dice: random.Random, around: Surroundings, method: str) -> PageForm | None:
    forms = around.forms.get(method, [])
    return dice.choice(forms) if forms else None


def _draw_sent(dice: random.Random, around: Surroundings, who: str, form: PageForm) -> FuzzRequest:
    parts = urlsplit(form.action)
    request = FuzzRequest(who, form.method, parts.path, parts.query.encode())
    fields = [(name.encode(), value.encode("utf-8", "replace")) for name, value in form.fields]
    if form.method == "GET":
        encoded = [(quote_from_bytes(name).encode(), quote_from_bytes(value).encode()) for name, value in fields]
        request.query = _encode(_draw_fields(dice, around, encoded))
        _add_headers(dice, request, around)
        return request
    kept = [pair for pair in fields if pair[0] != b"csrfmiddlewaretoken"]
    files = [name.encode() for name in form.files if dice.random() < 0.7]
    drawn = kept if dice.random() < 0.08 else _draw_fields(dice, around, kept, encode=False)
    _add_body(dice, request, drawn, files=files, enctype=form.enctype)
    _add_headers(dice, request, around)
    return request


def _draw_fields(dice: random.Random, around: Surroundings, known: Fields, *, encode: bool = True) -> Fields:
    """Return the fields with a few changes; new ones are percent-encoded unless the caller does that."""
    fields = list(known)
    wrap = (lambda text: quote_from_bytes(text).encode()) if encode else (lambda text: text)
    for _change in range(dice.choice((1, 1, 1, 2, 3, 6))):
        place = dice.randrange(len(fields)) if fields else -1
        act = dice.random()
        if place < 0 or act < 0.3:
            name = dice.choice(around.names).encode()
            fields.append(
                (wrap(odd_bytes(dice)) if dice.random() < 0.05 else name, wrap(_value_for(dice, around, name)))
            )
        elif act < 0.75:
            fields[place] = (fields[place][0], wrap(odd_bytes(dice)))
        elif act < 0.88:
            fields[place] = (fields[place][0], wrap(damaged(dice, fields[place][1])))
        elif act < 0.94:
            del fields[place]
        else:
            fields += [fields[place]] * dice.choice((1, 3, 40, 1100))
    dice.shuffle(fields)
    # The web server takes no longer address (kmes.web_server).
    while encode and sum(len(name) + len(value) for name, value in fields) > MAX_QUERY:
        fields.pop()
    return fields


def _value_for(dice: random.Random, around: Surroundings, name: bytes) -> bytes:
    argument = PARAMETERS.get(name.decode())
    if argument is not None and dice.random() < 0.6:
        return dice.choice(around.arguments.known(argument))
    return odd_bytes(dice)


def _encode(fields: Fields) -> bytes:
    return b"&".join(name + b"=" + value for name, value in fields)


def _add_body(
    dice: random.Random, request: FuzzRequest, fields: Fields, *, files: list[bytes] | None = None, enctype: str = ""
) -> None:
    """Give the request a body: usually a form with its token, sometimes another or a broken one."""
    token = dice.choices((CSRF, "", "x" * 64, "\0"), (94, 2, 2, 2))[0]
    fields = [(b"csrfmiddlewaretoken", token.encode()), *fields] if token else fields
    way = dice.random()
    if way < 0.12:
        request.content_type = dice.choice(_TYPES)
        request.body = dice.choice((json.dumps({"a": ["\0"] * 9}).encode(), b"{" * 3000, b"", odd_bytes(dice)))
        request.headers["HTTP_X_CSRFTOKEN"] = CSRF
    elif way < 0.3 or files or enctype.startswith("multipart"):
        request.content_type = f"multipart/form-data; boundary={BOUNDARY.decode()}"
        request.body = _multipart(dice, fields, files or [])
    else:
        request.content_type = "application/x-www-form-urlencoded"
        request.body = _encode(
            [(quote_from_bytes(name).encode(), quote_from_bytes(value).encode()) for name, value in fields]
        )
    if dice.random() < 0.06:
        request.content_type += f"; charset={dice.choice(_CHARSETS)}"
    if dice.random() < 0.04:
        request.body = request.body[: dice.randrange(len(request.body) + 1)]
    if dice.random() < 0.02:
        # Lengths that are no number never pass the web server (kmes.web_server).
        request.headers["CONTENT_LENGTH"] = dice.choice(("", "0", "3"))


def _multipart(dice: random.Random, fields: Fields, files: list[bytes]) -> bytes:
    parts = [b'Content-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value for name, value in fields]
    if dice.random() < 0.2:
        files = [*files, dice.choice((b"file", b"name", b"certificate_file", b'a"; x="'))] * dice.choice((1, 1, 2))
    for name in files:
        file_name = dice.choice((b"a.pem", b"", b"..", b"a" * 400, b"a\0.pfx", b"\xff", b'"; name="x'))
        parts.append(
            b'Content-Disposition: form-data; name="' + name + b'"; filename="' + file_name + b'"\r\n'
            b"Content-Type: "
            + dice.choice((b"text/plain", b"x; charset=hex", b"\xff"))
            + b"\r\n"
            + dice.choice((b"", b"Content-Transfer-Encoding: base64\r\n", b"X: a; x*=hex''%41\r\n"))
            + b"\r\n"
            + dice.choice((b"-----BEGIN CERTIFICATE-----\nMIIB\n", b"\x30\x82\xff\xff", b"", odd_bytes(dice)))
        )
    mark = b"--" + BOUNDARY
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return body.replace(BOUNDARY, b"another", 1) if dice.random() < 0.05 else body


def _add_headers(dice: random.Random, request: FuzzRequest, around: Surroundings) -> None:
    if dice.random() < 0.3:
        request.headers["HTTP_HX_REQUEST"] = "true"
        request.headers["HTTP_HX_TARGET"] = dice.choice(around.parts) if dice.random() < 0.9 else "\xff" * 20
    for _header in range(dice.choices((0, 1, 2, 3), (55, 25, 15, 5))[0]):
        name = dice.choice(list(_HEADERS))
        values = _HEADERS[name]
        request.headers[name] = (
            odd_bytes(dice)[:4000].decode("latin-1") if dice.random() < 0.15 else dice.choice(values)
        )
