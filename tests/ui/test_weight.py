"""What a page makes a browser load: measured on the pages themselves, script by script as they import each other."""

from __future__ import annotations

import gzip
import re
from pathlib import Path, PurePosixPath

import pytest
from django.contrib.staticfiles import finders

from tests.ui.rows import body, make_job, make_key

LIMIT = 160 * 1024
LOADED = re.compile(r'<(?:script[^>]*\ssrc|link[^>]*\shref|img[^>]*\ssrc|use[^>]*\shref)="([^"]+)"')
IMPORTED = re.compile(r'^import\s[^;]*?"(\./[^"]+)";', re.MULTILINE)


@pytest.fixture
def addresses(pages, group):
    """One page of each look."""
    key, job = make_key(group, "a-key"), make_job(group)
    return [
        "/",
        "/keys/",
        f"/keys/{key.pk}/",
        "/keys/groups/add/",
        "/cloud-credentials/",
        group.credential.get_absolute_url(),
        "/jobs/",
        job.get_absolute_url(),
        "/logs/",
        "/administration/device/",
        "/administration/configuration/",
        "/preferences/",
        "/search/?q=a",
    ]


def files_of(page: str) -> set[str]:
    """The static files a page loads, with all its scripts import."""
    wanted = {address.partition("#")[0].removeprefix("/static/") for address in LOADED.findall(page)}
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        found.add(name)
        if name.endswith(".js"):
            folder = PurePosixPath(name).parent
            text = Path(str(finders.find(name))).read_text()
            wanted |= {str(folder / path[2:]) for path in IMPORTED.findall(text)} - found
    return found


def test_no_page_loads_more_than_160_kilobytes_or_from_another_host(pages, addresses):
    for address in addresses:
        answer = pages.get(address)
        assert answer.status_code == 200, address
        page = body(answer)
        assert [url for url in LOADED.findall(page) if not url.startswith("/static/")] == [], address
        names = files_of(page)
        assert {"kmes/app.css", "kmes/menu.js", "kmes/palette.js", "bootstrap/css/bootstrap.min.css"} <= names
        size = sum(len(gzip.compress(Path(str(finders.find(name))).read_bytes())) for name in names)
        assert size <= LIMIT, f"{address}: {size} bytes"


def test_the_sign_in_page_is_as_light(client, db):
    names = files_of(body(client.get("/login/")))
    assert sum(len(gzip.compress(Path(str(finders.find(name))).read_bytes())) for name in names) <= LIMIT


def test_styles_and_scripts_name_no_other_host():
    folder = Path(__file__).resolve().parents[2] / "kmes" / "static" / "kmes"
    for path in [*folder.glob("*.css"), *folder.glob("*.js")]:
        assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.sub(r"//\s.*", "", path.read_text())), path.name
