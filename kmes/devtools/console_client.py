"""A client of the console's pages without a browser: opens pages, fills in their forms, follows jobs.

Reads a form as a browser does (every field that would be sent, with the value it shows), so that
it needs to name only what it types. Knows pages, and nothing of the code behind them.
"""

from __future__ import annotations

import html
import http.cookiejar
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

TIMEOUT_SECONDS = 30.0
JOB_SECONDS = 60.0
Values = Mapping[str, str | Sequence[str]]


class PageError(Exception):
    """A page did not do what was asked; the text says which page and what it said."""


@dataclass
class Form:
    """One form of a page: where it is sent and what it holds."""

    action: str
    method: str
    values: dict[str, list[str]] = field(default_factory=dict)
    # Of each list: (value, what the person reads).
    choices: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def choice(self, name: str, words: str) -> str:
        """Return the value of a list's entry that reads so, or begins so.

        Raises PageError when the list has no such entry.
        """
        for value, label in self.choices.get(name, []):
            if label == words or label.startswith(words):
                return value
        message = f"The list {name} has no entry {words}: {[label for _, label in self.choices.get(name, [])]}"
        raise PageError(message)


class FormReader(HTMLParser):
    """Collects forms with their successful controls (HTML, section 4.10.22.4) and a page's refusals."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None
        # Value, whether it is selected, what it reads.
        self._options: list[tuple[str, bool, str]] = []
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a form, a control or a link."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and (name := given.get("name")) and "disabled" not in given:
            self._control(tag, name, given)
        elif tag == "option" and self._select is not None:
            self._options.append((given.get("value", ""), "selected" in given, ""))

    def handle_endtag(self, tag: str) -> None:
        """Close what a tag opened."""
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select" and self._select is not None:
            self._end_select(self._select)

    def handle_data(self, data: str) -> None:
        """Take in the text of a textarea, or of a list's entry."""
        if self._select is not None and self._options:
            value, is_selected, words = self._options[-1]
            self._options[-1] = (value, is_selected, words + data)
        if self._area is not None and self._form is not None:
            kept = self._form.values[self._area]
            kept[-1] = (kept[-1] + data).removeprefix("\n")

    def _control(self, tag: str, name: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text").lower()
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self._put(name, "")
        elif tag == "input" and kind in {"checkbox", "radio"}:
            if "checked" in given:
                self._put(name, given.get("value", "on"))
        elif tag == "input" and kind not in {"submit", "button", "reset", "file", "image"}:
            self._put(name, given.get("value", ""))

    def _end_select(self, name: str) -> None:
        chosen = [value for value, is_selected, _ in self._options if is_selected]
        # A list of one choice shows, and sends, its first entry unless told otherwise.
        self._put(name, *(chosen or [value for value, _, _ in self._options[:1]]))
        if self._form is not None:
            self._form.choices[name] = [(value, " ".join(words.split())) for value, _, words in self._options]
        self._select, self._options = None, []

    def _put(self, name: str, *values: str) -> None:
        if self._form is not None:
            self._form.values.setdefault(name, []).extend(values)


@dataclass(frozen=True)
class Page:
    """A page as it arrived."""

    url: str
    status: int
    text: str

    def _read(self) -> FormReader:
        reader = FormReader()
        reader.feed(self.text)
        return reader

    def links(self) -> list[str]:
        """Return where the page's links lead, as written."""
        return self._read().links

    def form_with(self, *names: str) -> Form:
        """Return the form that has all these fields.

        Raises PageError when no form has.
        """
        for form in self._read().forms:
            if all(name in form.values for name in names):
                return form
        message = f"{self.url} has no form with {', '.join(names)}: {self.words()[:400]}"
        raise PageError(message)

    def words(self) -> str:
        """Return the page's main text in one line, for a message."""
        main = re.sub(r"(?s)^.*<main\b|<(script|style|svg|head)\b.*?</\1>", "<", self.text)
        return " ".join(html.unescape(re.sub(r"(?s)<[^>]*>", " ", main)).split())


class ConsoleClient:
    """Somebody at the console's pages, with cookies of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._cookies = http.cookiejar.CookieJar()
        # No proxy: the console runs on this machine, whatever the environment says.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def cookies(self) -> str:
        """Return the cookies as the header of a request has them."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def open(self, path: str, data: bytes | None = None, *, referer: str = "") -> Page:
        """Open a page, following redirects; a refusal (4xx, 5xx) is a page as well."""
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), data)
        if referer:
            request.add_header("Referer", referer)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Page(answer.url, answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.url or path, error.code, error.read().decode(errors="replace"))

    def submit(self, page: Page, values: Values, *, expect: Sequence[str] = ()) -> Page:
        """Fill in the form that has the fields ``expect`` (else those of ``values``) and send it.

        Raises PageError when the page has no such form, or the console refuses what was typed.
        """
        form = page.form_with(*(expect or [name for name in values if values[name] != []]))
        filled = {**form.values, **{name: _listed(value) for name, value in values.items()}}
        pairs = [(name, value) for name, found in filled.items() for value in found]
        target = urllib.parse.urljoin(page.url, form.action)
        answer = self.open(target, urllib.parse.urlencode(pairs).encode(), referer=page.url)
        if answer.status >= 400:
            message = f"{target} answered {answer.status}: {answer.words()[:800]}"
            raise PageError(message)
        return answer

    def sign_in(self, name: str, password: str) -> None:
        """Sign in by the login page.

        Raises PageError when the console does not let us in.
        """
        page = self.open("/")
        answer = self.submit(page, {"username": name, "password": password})
        if "password" in answer.url or 'name="password"' in answer.text:
            message = f"The console did not let {name} in: {answer.words()[:400]}"
            raise PageError(message)

    def start_job(self, path: str, values: Values | None = None) -> str:
        """Open a page that asks before a job starts, confirm it, and return the job's code."""
        page = self.open(path)
        answer = self.submit(page, values or {}, expect=("idempotency_key", *(values or {})))
        match = re.search(r"/jobs/([0-9A-Za-z]+)/$", urllib.parse.urlsplit(answer.url).path)
        if match is None:
            message = f"{path} led to {answer.url} and not to a job: {answer.words()[:400]}"
            raise PageError(message)
        return match[1]

    def finish_job(self, code: str, *, seconds: float = JOB_SECONDS, turn: float = 0.1) -> None:
        """Follow a job until it has succeeded.

        Raises PageError when it ends otherwise or takes longer than ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            page = self.open(f"/jobs/{code}/live/")
            announced = re.search(r'data-announce="([^"]*)"', page.text)
            state = html.unescape(announced[1]) if announced else ""
            if state.startswith("Succeeded"):
                return
            if page.status != 200 or state.startswith(("Failed", "Partly failed", "Cancelled")):
                message = f"Job {code} ended as: {page.words()[:800]}"
                raise PageError(message)
            time.sleep(turn)
        message = f"Job {code} has not ended within {seconds:.0f} s: {page.words()[:400]}"
        raise PageError(message)

    def run_job(self, path: str, values: Values | None = None, *, seconds: float = JOB_SECONDS) -> str:
        """Start a job by its page and follow it to its success; returns its code."""
        code = self.start_job(path, values)
        self.finish_job(code, seconds=seconds)
        return code

    def job_log(self, code: str) -> list[str]:
        """Return the lines of a job's log, without their times."""
        lines = self.open(f"/jobs/{code}/log.txt").text.splitlines()
        return [line.partition(" UTC ")[2] or line for line in lines]


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
