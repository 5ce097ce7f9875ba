"""The software bill of materials: complete against the files that pin what is installed, and the same each time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from kmes.devtools import sbom

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def written() -> str:
    return sbom.document()


@pytest.fixture(scope="module")
def by_purl(written):
    return {each["purl"]: each for each in json.loads(written)["components"]}


def hashes(component):
    return {(each["alg"], each["content"]) for each in component["hashes"]}


def test_every_locked_package_stands_in_it_with_all_its_hashes(by_purl):
    locked: dict[str, set[tuple[str, str]]] = {}
    for line in (ROOT / "requirements" / "base.txt").read_text().splitlines():
        if not line.startswith((" ", "#")):
            name, _, version = line.partition(" ")[0].partition("==")
            current = locked.setdefault(f"pkg:pypi/{name}@{version}", set())
        elif "--hash=" in line:
            current.add(("SHA-256", line.strip(" \\").rpartition(":")[2]))
    assert len(locked) > 50
    assert {purl: hashes(by_purl[purl]) for purl in by_purl if purl.startswith("pkg:pypi/")} == locked


def test_every_package_for_browsers_stands_in_it_with_hash_and_licence(by_purl):
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    served = {path: entry for path, entry in packages.items() if path and not entry.get("dev")}
    assert served
    for path, entry in served.items():
        name = path.removeprefix("node_modules/").replace("@", "%40")
        component = by_purl[f"pkg:npm/{name}@{entry['version']}"]
        digest = base64.b64decode(entry["integrity"].removeprefix("sha512-")).hex()
        assert hashes(component) == {("SHA-512", digest)}
        assert component["licenses"] == [{"license": {"id": entry["license"]}}]


def test_the_htmx_that_pages_load_stands_in_it(by_purl):
    content = sbom.htmx_file().read_bytes()
    version = re.search(rb'version:"([\d.]+)"', content)[1].decode()
    assert hashes(by_purl[f"pkg:npm/htmx.org@{version}"]) == {("SHA-256", hashlib.sha256(content).hexdigest())}


def test_pages_load_no_file_of_others_that_is_not_in_it():
    loaded = set()
    for page in (ROOT / "templates").rglob("*.html"):
        loaded |= set(re.findall(r"""{% static ["']([^"']+)["']""", page.read_text()))
    others = {path for path in loaded if not path.startswith("kmes/")}
    # The whole folder of Bootstrap is one package, and of django-htmx only this file is loaded.
    assert {path for path in others if not path.startswith("bootstrap/")} == {sbom.HTMX_FILE.removeprefix("static/")}


def test_packages_say_their_licence(by_purl):
    # What this machine does not need is not installed, and so says nothing.
    without = {purl for purl, each in by_purl.items() if not each.get("licenses") and not each.get("properties")}
    assert without == set()


def test_it_is_valid_and_another_document_is_not(written):
    sbom.check(written)
    with pytest.raises(sbom.SbomError, match="not valid"):
        sbom.check(written.replace('"type": "library"', '"type": "lib"'))


def test_it_is_the_same_each_time(written):
    assert sbom.document() == written
    assert "timestamp" not in json.loads(written)["metadata"]


def test_a_given_moment_stands_in_it(monkeypatch, tmp_path):
    # One package is enough.
    short = tmp_path / "base.txt"
    short.write_text(next(each for each in sbom._blocks() if each.startswith("whitenoise==")))
    monkeypatch.setattr(sbom, "REQUIREMENTS", short)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    assert json.loads(sbom.document())["metadata"]["timestamp"] == "2026-09-21T14:13:20+00:00"


def test_it_says_what_the_console_and_its_packages_require(written):
    requires = {each["ref"]: each.get("dependsOn", []) for each in json.loads(written)["dependencies"]}
    names = {each.partition("@")[0] for each in requires["console"]}
    assert {"pkg:pypi/django", "pkg:pypi/cryptography", "pkg:npm/bootstrap"} <= names
    reached, queue = set(), ["console"]
    while queue:
        for each in requires[queue.pop()]:
            if each not in reached:
                reached.add(each)
                queue.append(each)
    # Popper comes with Bootstrap.
    assert reached == set(requires) - {"console"}


def test_a_package_of_another_version_than_the_pinned_one_ends_it(monkeypatch, tmp_path):
    other = tmp_path / "base.txt"
    other.write_text(re.sub(r"^celery==\S+", "celery==1.0", sbom.REQUIREMENTS.read_text(), flags=re.MULTILINE))
    monkeypatch.setattr(sbom, "REQUIREMENTS", other)
    with pytest.raises(sbom.SbomError, match=r"celery .* is installed and 1\.0 is pinned"):
        list(sbom.python_packages())
