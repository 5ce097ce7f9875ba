"""Write the software bill of materials: what an installation of the console runs, as CycloneDX JSON.

It is read from the files that pin it: ``requirements/base.txt``, ``package-lock.json``, and the htmx that django-htmx
brings along. The same files give the same bytes; there is a time in it only with SOURCE_DATE_EPOCH
(reproducible-builds.org). Debian's packages, Python and the images are not in it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from kmes.core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "base.txt"
PACKAGE_LOCK = ROOT / "package-lock.json"
# The file of django-htmx that templates/base.html loads; its text names its version.
HTMX_FILE = "static/django_htmx/htmx-2.min.js"
HTMX_LICENCE = "0BSD"
_PINNED = re.compile(r"^([\w.-]+)==(\S+?)(?: *; *(.+?))? *\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class SbomError(Exception):
    """What keeps the list from being made."""


def _blocks() -> list[str]:
    """Return the lock file's part about each package."""
    return re.split(r"\n(?=[^\s#])", REQUIREMENTS.read_text())


def python_packages() -> Iterator[Component]:
    """Yield each pinned package of Python, with the hashes of all files that pip may install for it."""
    for block in _blocks():
        found = _PINNED.match(block.partition("\n")[0])
        if found is None:
            raise SbomError(f"not a pinned package: {block[:80]}")
        name, version, marker = found.groups()
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            purl=PackageURL("pypi", name=name, version=version),
            bom_ref=f"pkg:pypi/{name}@{version}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in _HASH.findall(block)],
            licenses=_licences(_installed_licence(name, version, marker)),
            properties=[Property(name="kmes:environment_marker", value=marker)] if marker else [],
        )


def _installed_licence(name: str, version: str, marker: str | None) -> str:
    """Return what an installed package says of its licence; "" for one that this machine does not need."""
    try:
        package = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        if marker:
            return ""
        raise SbomError(f"{name} is not installed: run `make run` first.") from None
    if package["Version"] != version:
        raise SbomError(f"{name} {package['Version']} is installed and {version} is pinned: run `make run` first.")
    named = [line.rpartition(" :: ")[2] for line in package.get_all("Classifier", []) if line.startswith("License ::")]
    said = str(package["License-Expression"] or package["License"] or "").strip()
    # Some packages give the licence's whole text.
    return " and ".join(named) if "\n" in said or not said else said


def _requirers() -> Iterator[tuple[str, str]]:
    """Yield which package of Python, or the console itself, requires which; the lock file notes it as "via"."""
    for block in _blocks():
        name = block.partition("==")[0]
        via = re.findall(r"^    #(?: via)? +(\S+)", block, re.MULTILINE)
        yield from ((each, name) for each in via if each != "via")


def browser_packages() -> Iterator[Component]:
    """Yield what is served to browsers and was written by others."""
    for path, entry in json.loads(PACKAGE_LOCK.read_text())["packages"].items():
        if path and not entry.get("dev"):
            algorithm, _, digest = entry["integrity"].partition("-")
            if algorithm != "sha512":
                raise SbomError(f"{path}: the lock file has a hash of another kind: {algorithm}")
            yield _browser_package(
                path.removeprefix("node_modules/"),
                entry["version"],
                HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(digest).hex()),
                entry["license"],
            )
    content = htmx_file().read_bytes()
    version = re.search(rb'version:"([\d.]+)"', content)
    if version is None:
        raise SbomError(f"{HTMX_FILE} does not name its version.")
    digest = hashlib.sha256(content).hexdigest()
    yield _browser_package(
        "htmx.org", version[1].decode(), HashType(alg=HashAlgorithm.SHA_256, content=digest), HTMX_LICENCE
    )


def htmx_file() -> Path:
    """Return the installed file of htmx."""
    spec = importlib.util.find_spec("django_htmx")
    if spec is None or spec.origin is None:
        raise SbomError("django-htmx is not installed: run `make run` first.")
    return Path(spec.origin).parent / HTMX_FILE


def _browser_package(name: str, version: str, content: HashType, licence: str) -> Component:
    namespace, _, last = name.rpartition("/")
    purl = PackageURL("npm", namespace=namespace or None, name=last, version=version)
    return Component(
        type=ComponentType.LIBRARY,
        name=last,
        group=namespace or None,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[content],
        licenses=_licences(licence),
    )


def _licences(text: str) -> list[Any]:
    return [LicenseFactory().make_from_string(text)] if text else []


def document() -> str:
    """Return the list as JSON.

    Raises:
        SbomError: something pinned is not installed.

    """
    console = Component(type=ComponentType.APPLICATION, name=_project()["name"], version=VERSION, bom_ref="console")
    python, browser = list(python_packages()), list(browser_packages())
    bom = Bom(components=[*python, *browser])
    bom.metadata.component = console
    bom.register_dependency(console, browser)
    by_name = {each.name: each for each in python} | {console.name: console}
    for requirer, name in _requirers():
        bom.register_dependency(by_name[requirer], [by_name[name]])
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    # Random and of this moment; a number made of the content is the same for the same content.
    del written["serialNumber"], written["metadata"]["timestamp"]
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        written["metadata"]["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    content = json.dumps(written, sort_keys=True)
    written["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, content).urn
    return json.dumps(written, indent=2, sort_keys=True) + "\n"


def check(text: str) -> None:
    """Compare a list with the schema, which the library brings along.

    Raises:
        SbomError: it is not valid.

    """
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SbomError(f"not valid CycloneDX 1.6: {str(error)[:500]}")


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def main() -> int:
    """Write the list to a file or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m kmes.devtools.sbom", description=__doc__)
    parser.add_argument("--output", type=Path, help="the file to write; standard output without it")
    output = parser.parse_args().output
    try:
        text = document()
        check(text)
    except SbomError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    if output is None:
        print(text, end="")
    else:
        output.write_text(text)
        print(f"sbom: {len(json.loads(text)['components'])} components in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
