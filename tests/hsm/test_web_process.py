"""The web process reaches no device: it loads neither PKCS#11 nor the modules that use it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.services import ROOT

LOADED = """
import sys
import kmes.wsgi
from django.urls import get_resolver


def load(resolver):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            load(pattern)


load(get_resolver())
print(*sorted(sys.modules), sep="\\n")
"""


def test_the_web_process_loads_no_device_layer():
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT,
        env={**os.environ, "KMES_PROCESS": "web"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    # The views are loaded; else the absence of the others would say nothing.
    assert {"hsm.views", "jobs.pages.views", "kmes.operations.views"} <= loaded
    assert "pkcs11" not in loaded
    assert not {name for name in loaded if name in {"hsm.device", "hsm.session", "hsm.keys", "hsm.byok"}}
