"""Measures what open pages cost, and how soon one shows that its job has ended; prints one JSON line for each.

``python -m kmes.devtools.open_pages`` runs on a temporary installation. ``idle``: a hundred Keys pages in which nothing happens,
asked as ``changes.js`` and ``htmx.js`` ask. ``seen``: a real Chromium pushes one RSA-2048 key after the other, from the click on the
button to "Succeeded" on the job's page.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import statistics
import sys
import threading
import time
from collections import Counter

import django

from kmes.devtools import demo, process_memory
from kmes.devtools.bench import print_line
from kmes.devtools.console_client import ConsoleClient, PageError
from kmes.devtools.temporary_instance import TemporaryInstance, UnexpectedResult
from kmes.supervision.processes import product_environment

TABS = 100
USERS = 20
# As in changes.js. A page looks at all its parts when its question comes back after that: each 75 s.
STALE_SECONDS = 60.0
IDLE_SECONDS = 150.0
PUSHES = 10
POLL = {"X-Kmes-Poll": "1", "HX-Request": "true"}
# Resolves once the page shows that its job succeeded, in the moment in which it does: Playwright's own waits look every half second.
SUCCESS_SEEN = """() => new Promise((done) => {
  const look = () => [...document.querySelectorAll("#job-live .badge")].some((each) => each.textContent.trim() === "Succeeded");
  if (look()) return done();
  new MutationObserver((_, observer) => { if (look()) { observer.disconnect(); done(); } })
    .observe(document, { subtree: true, childList: true, characterData: true });
})"""
# The followers on a Keys page: address and target.
PARTS = {"/jobs/drawer/": "drawer-jobs", "/notices/bell/": "bell", "/keys/": "keys-pane"}


# --- Idle pages ------------------------------------------------------------------------------
class Tab:
    """One open Keys page, in a thread of its own."""

    def __init__(self, port: int, cookies: str, asked: Counter[str]) -> None:
        self._port, self._cookies, self._asked = port, cookies, asked
        self._seen, self._digests = "", dict.fromkeys(PARTS, "")
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _ask(self, connection: http.client.HTTPConnection, path: str, **headers: str) -> bytes:
        connection.request("GET", path, headers={**POLL, "Cookie": self._cookies, **headers})
        self._asked[path.partition("?")[0]] += 1
        return connection.getresponse().read()

    def _look(self, connection: http.client.HTTPConnection) -> None:
        """Ask for each part, with the digest that it had."""
        for path, target in PARTS.items():
            digest = self._digests[path]
            headers = {"HX-Target": target, "X-Kmes-Seen": digest}
            answer = self._ask(connection, f"{path}?seen={digest}", **headers).decode()
            if found := re.search(r'seen=([0-9a-f-]+)"|"X-Kmes-Seen": "(\w+)"', answer):
                self._digests[path] = found[1] or found[2]

    def _run(self) -> None:
        # The installation ends while questions are held.
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._follow()

    def _follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        looked = 0.0
        while not self.is_over.is_set():
            if time.monotonic() - looked > STALE_SECONDS:
                looked = time.monotonic()
                self._look(connection)
            answer = json.loads(self._ask(connection, f"/changes/?seen={self._seen}&hold=1"))
            if answer["changed"] and self._seen:
                looked = 0.0
            self._seen = answer["seen"]
            self.is_over.wait(answer["again"])
        connection.close()


def sign_users_in(temporary: TemporaryInstance) -> list[str]:
    """Make users, sign each in, and return their cookies."""
    from kmes.accounts.models import User  # noqa: PLC0415 - models exist once Django is set up

    found = []
    for number in range(USERS):
        name, password = f"idle-{number}", secrets.token_urlsafe(18)
        User.objects.create_user(name, password=password, role="operator")
        console = ConsoleClient(temporary.instance.url)
        console.sign_in(name, password)
        found.append(console.cookies())
    return found


def measure_idle(temporary: TemporaryInstance) -> None:
    """Open the pages, let them settle, and measure a while in which nothing happens."""
    cookies, asked = sign_users_in(temporary), Counter[str]()
    tabs = [Tab(temporary.instance.web_port, cookies[number % USERS], asked) for number in range(TABS)]
    for tab in tabs:
        tab.thread.start()
        time.sleep(0.1)
    time.sleep(5)
    web = process_memory.family_of(temporary.pid_of("web"))
    asked.clear()
    before, began = process_memory.cpu_seconds(web), time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds, computed = time.monotonic() - began, process_memory.cpu_seconds(web) - before
    print_line(
        name="idle_pages",
        tabs=TABS,
        cores=round(computed / seconds, 3),
        requests_a_minute_each=round(60 * asked.total() / seconds / TABS, 2),
        asked=dict(asked),
    )
    for tab in tabs:
        tab.is_over.set()


# --- How soon a job's end is seen ------------------------------------------------------------
def measure_seen(temporary: TemporaryInstance) -> None:
    """Push keys by the pages, each from the click to the word on the job's page."""
    # Of the packages for tests.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    console = ConsoleClient(temporary.instance.url)
    console.sign_in("admin1", temporary.password)
    credential = demo.add_credential(console, temporary)
    console.run_job(f"/jobs/start/list_vaults/?credential={credential}")
    groups = []
    for number in range(PUSHES + 1):
        vault = {"credential": credential, "vault": "kv-premium", "key_type": "RSA", "key_spec": "RSA-2048"}
        group = demo.add_group(console, name=f"seen-{number}", **vault)
        console.run_job(f"/jobs/start/create/?group={group}", {"name": f"seen-{number}-1"})
        groups.append(group)
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    path = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=temporary.instance.url)
        page.goto("/login/")
        page.get_by_label("User name").fill("admin1")
        page.get_by_label("Password").fill(temporary.password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Dashboard").wait_for()
        seen = []
        for group in groups:
            page.goto(f"/jobs/start/synchronize/?group={group}")
            button = page.locator("main form button[type=submit]").first
            began = time.perf_counter()
            button.click(no_wait_after=True)
            page.wait_for_url("**/jobs/*/", wait_until="commit")
            page.evaluate(SUCCESS_SEEN)
            seen.append(time.perf_counter() - began)
        browser.close()
    # The first one loads scripts and styles, and the worker its libraries.
    told = sorted(seen[1:])
    print_line(
        name="push_seen_rsa_2048",
        runs=len(told),
        median_s=round(statistics.median(told), 3),
        longest_s=round(told[-1], 3),
        worked_s=_median_of_jobs(),
    )


def _median_of_jobs() -> float:
    """Return how long the jobs themselves took, from request to end."""
    from jobs.models import Job  # noqa: PLC0415

    jobs = Job.objects.filter(kind="synchronize", finished_at__isnull=False)
    took = [(job.finished_at - job.created_at).total_seconds() for job in jobs if job.finished_at is not None]
    return round(statistics.median(took), 3)


def main() -> int:
    """Measure both, or what is named; returns the exit code."""
    wanted = sys.argv[1:] or ["seen", "idle"]
    try:
        with TemporaryInstance("pages") as temporary:
            os.environ.update(product_environment(temporary.instance, "manage"))
            django.setup()
            if "seen" in wanted:
                measure_seen(temporary)
            if "idle" in wanted:
                measure_idle(temporary)
    except (UnexpectedResult, PageError, OSError) as error:
        print(f"open_pages: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
