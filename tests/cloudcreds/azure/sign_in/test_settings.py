"""The address of the metadata service can be moved for the stand-in only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.services import ROOT


@pytest.mark.parametrize(("allowed", "starts"), [("0", False), ("1", True)])
def test_an_installation_for_azure_does_not_start_with_another_metadata_service(allowed, starts, tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KMES_")},
        "KMES_STATE_DIR": str(tmp_path),
        "KMES_ALLOW_CUSTOM_ENDPOINTS": allowed,
        "KMES_METADATA_URL": "http://10.0.0.1",
        "DJANGO_SETTINGS_MODULE": "kmes.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from django.conf import settings; settings.DEBUG"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode == 0) is starts, done.stderr
    assert starts or "KMES_METADATA_URL is for the stand-in only" in done.stderr
