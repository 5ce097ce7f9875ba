"""Sends requests and judges the answers: no error, no traceback, no change that the role may not make."""

from __future__ import annotations

import io
import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import close_old_connections, connection, transaction

from kmes.accounts.session_store import SessionStore
from kmes.devtools.fuzz.addresses import read_page
from kmes.devtools.fuzz.drawing import CSRF, NOBODY, FuzzRequest, Surroundings, draw
from kmes.devtools.fuzz.odd_values import MARKUP
from kmes.web_requests import Handler

HOST = "testserver"
# More statements than any page needs, however odd the request. Counted instead of timed: machines differ.
MAX_STATEMENTS = 400
MAX_ANSWER_BYTES = 5_000_000
PROGRESS_EVERY = 1000
# What answers 503 where a part of the installation is not there, as it is not here.
HEALTH = frozenset({"/readyz", "/metrics"})
_WRITE = re.compile(r'\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM)\s+"(\w+)"')
_SPILLED = re.compile(rb"Traceback \(most recent call last\)|django\.db\.|DataError|OperationalError|site-packages")

# Tables that a request may write to, besides those of ``_ANYBODY``, by role.
_ANYBODY = re.compile(
    r"accounts_(consolesession|secondsignin|failedsignins|knowndevice|factorfailure|usedchallenge)|axes_\w+"
    r"|logging_reports_(logentry|loghead|notice|delivery)"
)
_OWN = r"ui_\w+|logging_reports_(noticeread|channel|savedfilter)|accounts_(user|authenticatorapp|passkey|recoverycode)"
_MAY_WRITE = {
    "auditor": rf"{_OWN}|logging_reports_logexport",
    "operator": rf"{_OWN}|jobs_\w+|keygroups_\w+|cloudcreds_vaultcircuit",
    "custodian": rf"{_OWN}|logging_reports_logexport|jobs_\w+|keygroups_\w+|cloudcreds_(keyvault|vaultcircuit)",
    "admin": r"\w+",
    NOBODY: r"(?!)",
}


@dataclass(frozen=True)
class Finding:
    """What an answer must not be. ``kind`` is the same for the same fault, whichever request showed it."""

    kind: str
    number: int
    request: str
    detail: str = ""


@dataclass
class Report:
    """What came of a run."""

    sent: int = 0
    by_status: dict[int, int] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, finding: Finding) -> None:
        """Keep a finding beside others of its kind."""
        self.findings.setdefault(finding.kind, []).append(finding)


class Fuzzer:
    """Sends drawn requests as users of each role. Each request is rolled back, so all meet the same rows."""

    def __init__(self, people: dict[str, Any], *, seed: int) -> None:
        self.seed = seed
        self.around = Surroundings()
        self.handler = Handler()
        self.sessions = {role: _sign_in(user) for role, user in people.items()}
        self.report = Report()

    def look_around(self, *, links: int) -> None:
        """Open a page of each address as an administrator, and then some of the pages that those lead to."""
        dice = random.Random(self.seed)  # noqa: S311 - the same requests each time
        paths = [self.around.arguments.path(route, dice, oddness=0) for route in self.around.routes]
        found: dict[str, None] = {}
        for number, path in enumerate(paths):
            found.update(dict.fromkeys(self._look_at(path, number)))
        more = sorted(set(found) - set(paths))
        dice.shuffle(more)
        for number, path in enumerate(more[:links]):
            found.update(dict.fromkeys(self._look_at(path, number)))
        self.around.links = sorted(found)

    def _look_at(self, path: str, number: int) -> list[str]:
        parts = urlsplit(path)
        if (
            "html"
            not in (answer := self.send(FuzzRequest("admin", "GET", parts.path, parts.query.encode()), -number)).kind
        ):
            return []
        forms, links = read_page(answer.body.decode(errors="replace"), path)
        for form in forms:
            known = self.around.forms.setdefault(form.method, [])
            # Those of the shell stand on every page.
            if form not in known:
                known.append(form)
        return links

    def run(
        self,
        numbers: range,
        *,
        on_finding: Callable[[Finding], None] = lambda _finding: None,
        on_progress: Callable[[int, float], None] = lambda _sent, _started: None,
    ) -> Report:
        """Draw and send the requests of these numbers; say of the first finding of each kind, and how far it is."""
        started = time.monotonic()
        for number in numbers:
            known = set(self.report.findings)
            self.send(draw(random.Random(f"{self.seed}:{number}"), self.around), number)  # noqa: S311
            for kind in self.report.findings.keys() - known:
                on_finding(self.report.findings[kind][0])
            if self.report.sent % PROGRESS_EVERY == 0:
                on_progress(self.report.sent, started)
        return self.report

    def send(self, request: FuzzRequest, number: int) -> Answer:
        """Send one request, roll back what it did, and judge the answer."""
        started = time.monotonic()
        with transaction.atomic(), _watched() as watched:
            try:
                answer = self._answer(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, no page comes of it
                watched.add(error)
                answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "", "", b"")
            transaction.set_rollback(True)
        seconds = time.monotonic() - started
        self.report.sent += 1
        self.report.by_status[answer.status] = self.report.by_status.get(answer.status, 0) + 1
        self.report.slowest = max(self.report.slowest, (seconds, f"{number}: {request}"))
        for kind, detail in _judge(request, answer, watched):
            self.report.add(Finding(kind, number, str(request), detail))
        return answer

    def _answer(self, request: FuzzRequest) -> Answer:
        # They would end the transaction's connection.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        try:
            response = self.handler(self._environ(request), _start_response)
            body = b"".join(response)
            response.close()
        finally:
            for signal in (request_started, request_finished):
                signal.connect(close_old_connections)
        headers = response.headers
        location = headers.get("Location", "") or headers.get("HX-Redirect", "")
        return Answer(response.status_code, headers.get("Content-Type", ""), location, body)

    def _environ(self, request: FuzzRequest) -> dict[str, Any]:
        cookies = [f"{settings.CSRF_COOKIE_NAME}={CSRF}"]
        if request.who != NOBODY:
            cookies.append(f"{settings.SESSION_COOKIE_NAME}={self.sessions[request.who]}")
        headers = dict(request.headers)
        odd_cookie = headers.pop("HTTP_COOKIE", "")
        return {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "QUERY_STRING": request.query.decode("latin-1"),
            "CONTENT_TYPE": request.content_type,
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_COOKIE": "; ".join([*cookies, odd_cookie] if odd_cookie else cookies),
            "HTTP_HOST": HOST,
            "REMOTE_ADDR": "127.0.0.1",
            "SCRIPT_NAME": "",
            "SERVER_NAME": HOST,
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multiprocess": True,
            "wsgi.multithread": True,
            "wsgi.run_once": False,
            **headers,
        }


@dataclass(frozen=True)
class Answer:
    """An answer: its status, kind of content, where it leads, and its whole body."""

    status: int
    kind: str
    location: str
    body: bytes


@dataclass
class Watched:
    """What the database was asked, and which errors no view caught."""

    statements: int = 0
    written: set[str] = field(default_factory=set)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def add(self, error: BaseException) -> None:
        """Keep an error with the last of our own functions that it passed."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename and "devtools" not in frame.filename]
        last = (own or frames)[-1]
        place = "/".join(last.filename.split("/")[-3:])
        text = "".join(traceback.format_exception(error)[-12:])
        self.errors.append((f"{type(error).__name__} at {place}:{last.name}", text))


@contextmanager
def _watched() -> Iterator[Watched]:
    found = Watched()

    def see(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        found.statements += 1
        if match := _WRITE.match(sql):
            found.written.add(match[1])
        return execute(sql, params, many, context)

    def catch(**_sent: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            found.add(error)

    got_request_exception.connect(catch, weak=False)
    try:
        with connection.execute_wrapper(see):
            yield found
    finally:
        got_request_exception.disconnect(catch)


def _start_response(*_given: Any) -> Callable[[bytes], object]:
    """Take status and headers, which the handler's answer holds as well."""
    return lambda _data: None


def _sign_in(user: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def _judge(request: FuzzRequest, answer: Answer, watched: Watched) -> Iterator[tuple[str, str]]:
    """Yield the kind and the detail of what is wrong."""
    yield from watched.errors
    is_health = request.path in HEALTH and answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not watched.errors and not is_health:
        yield f"status {answer.status} at {_shape(request.path)}", answer.body[:2000].decode(errors="replace")
    if match := _SPILLED.search(answer.body):
        yield f"a page shows {match[0].decode()} at {_shape(request.path)}", ""
    if "html" in answer.kind and MARKUP.encode() in answer.body:
        yield f"markup of a request in a page at {_shape(request.path)}", ""
    if answer.location and not _stays(answer.location):
        yield f"a redirect to another host at {_shape(request.path)}", answer.location
    if watched.statements > MAX_STATEMENTS or len(answer.body) > MAX_ANSWER_BYTES:
        yield f"too much work at {_shape(request.path)}", f"{watched.statements} statements, {len(answer.body)} bytes"
    for table in sorted(watched.written):
        if not _ANYBODY.fullmatch(table) and not _may_write(request, answer, table):
            yield f"{table} written by {request.who or 'nobody'} at {_shape(request.path)}", f"{answer.status}"


def _may_write(request: FuzzRequest, answer: Answer, table: str) -> bool:
    is_refused = answer.status in {400, 401, 403, 404, 405, 413}
    # Django takes the name of a method in any case.
    is_read = request.method.upper() != "POST"
    return not is_refused and not is_read and re.fullmatch(_MAY_WRITE[request.who], table) is not None


def _stays(location: str) -> bool:
    """Return whether a browser that follows a redirect stays at this console."""
    text = location.replace("\\", "/").strip()
    if text.startswith("//"):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (not parts.scheme and not parts.netloc) or parts.netloc == HOST


def _shape(path: str) -> str:
    """Return a path without its ids."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|%[0-9A-Fa-f]{2}|\d+", "*", path)[:80]
