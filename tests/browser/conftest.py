"""A whole running console and a real Chromium. Every page is watched: a CSP violation, a script
error or a request to another host fails the test it happened in.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import tables
from tests.services import ROOT, StandIn, free_port, open_folder, stop, wait_until

# Playwright waits 5 s for what a page is to show, which is short on a machine that runs other tests as well.
expect.set_options(timeout=30_000)
# What htmx says when a page is left while a poll is under way.
NAVIGATED_AWAY = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")
PASSWORD = "correct horse battery staple"
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "emulator-secret"
# Key groups of the console that has many.
GROUPS = 61


@dataclass
class Console:
    """A running installation under test."""

    url: str
    state_dir: Path
    stand_in: StandIn
    output: Path
    redis_port: int
    environment: dict[str, str]

    def manage(self, *command: str) -> None:
        """Run a management command on its state, as beside `make run`: without the settings of its processes."""
        others = {name: value for name, value in self.environment.items() if not name.startswith(("KMES_", "AZURE_"))}
        environment = {**others, "KMES_STATE_DIR": str(self.state_dir)}
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)

    def log_text(self) -> bytes:
        """Everything its processes wrote."""
        files = [self.output, *sorted((self.state_dir / "log").iterdir())]
        return b"\n".join(path.read_bytes() for path in files if path.is_file())


def answers(url: str) -> bool:
    """Say whether all parts of the console serve."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def running_console(**settings: str) -> Iterator[Console]:
    """Start the whole console as `make run` does, on own ports and an own state folder that has the tables already."""
    state = open_folder("kmes-browser-")
    web, redis, stand_in = free_port(), free_port(), free_port(3)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KMES_", "DJANGO_", "SOFTHSM2_"))}
    kept.pop("DATABASE_URL", None)
    environment = {
        **kept,
        "KMES_STATE_DIR": str(state / "var"),
        "KMES_PORT": str(web),
        "KMES_REDIS_PORT": str(redis),
        "AZURE_EMULATOR_PORT": str(stand_in),
        "KMES_ADMIN_PASSWORD": PASSWORD,
        "KMES_SCAN_SECONDS": "2",
        "KMES_ROTATION_SCAN_SECONDS": "2",
        **settings,
    }
    tables.give_file(state / "var" / "database" / "db.sqlite3")
    output = state / "supervisor.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kmes.supervision", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{web}"
        wait_until(lambda: answers(url), process, output)
        yield Console(
            url, state / "var", StandIn(stand_in, state / "var" / "azure_emulator"), output, redis, environment
        )
    finally:
        stop(process, sent=signal.SIGTERM, seconds=90)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """Run one console for all tests."""
    with running_console() as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Run the browser of the system, if possible the one that draws no windows."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, names)), None),
            args=["--no-sandbox", "--disable-gpu"],
        )
        yield browser
        browser.close()


class Watch:
    """What a page must never do."""

    def __init__(self, page: Page, origin: str) -> None:
        self.found: list[str] = []
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e =>"
            " console.error('CSP violation: ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        page.on("console", lambda message: message.type == "error" and self.note(message.text))
        page.on("pageerror", lambda error: self.note(f"script error: {error}"))
        page.on("request", lambda request: self._look(request.url, origin))

    def note(self, text: str) -> None:
        """Keep what was seen; an answer of 4xx is a page's business and not an error of the script."""
        if "Failed to load resource" not in text and not text.startswith(NAVIGATED_AWAY):
            self.found.append(text)

    def _look(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "data:", "blob:")):
            self.found.append(f"request to another host: {url}")


@pytest.fixture
def page(chromium: Browser, console: Console) -> Iterator[Page]:
    """Open a page of a stranger, watched to its end."""
    context = chromium.new_context(base_url=console.url, viewport={"width": 1280, "height": 860}, locale="en-US")
    opened = context.new_page()
    watch = Watch(opened, console.url)
    yield opened
    context.close()
    assert watch.found == []


@pytest.fixture
def admin(page: Page) -> Page:
    """Open a page of admin1, signed in."""
    sign_in(page, "admin1")
    return page


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in as a user does."""
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: not url.partition("?")[0].endswith("/login/"))


@pytest.fixture(scope="session")
def busy_console() -> Iterator[Console]:
    """A console with 61 groups of some twenty keys each, and a log of all of them."""
    with running_console() as console:
        console.manage("seed", f"--groups={GROUPS}", "--keys=1300", "--logs=3000")
        yield console


@pytest.fixture
def bench(chromium: Browser, busy_console: Console) -> Iterator[Page]:
    """A page of admin1 at 1440 x 900, watched to its end."""
    context = chromium.new_context(base_url=busy_console.url, viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    watch = Watch(page, busy_console.url)
    sign_in(page, "admin1")
    yield page
    context.close()
    assert watch.found == []
