"""Which of the product's modules each process loads: only the worker loads what reaches the device or runs jobs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.rules.repository import ROOT

# What each process loads, as its own command does.
START = {
    "web": "import kmes.wsgi, kmes.urls; from django.urls import get_resolver; get_resolver().url_patterns",
    "beat": "from kmes.celery import app; app.loader.init_worker(); app.finalize()",
    "reports": "import django; django.setup(); import logging_reports.report_worker",
    "worker": "from kmes.celery import app; app.loader.init_worker(); from celery.signals import worker_init; worker_init.send(None)",
}
SHUT_OUT = ("web", "beat", "reports")
REPORT = "import sys; print('\\n'.join(sys.modules))"


def loaded_by(process: str) -> set[str]:
    environment = {**os.environ, "KMES_PROCESS": process, "DJANGO_SETTINGS_MODULE": "kmes.settings"}
    command = [sys.executable, "-c", f"{START[process]}\n{REPORT}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def reaches_the_device(module: str) -> bool:
    return module.partition(".")[0] == "pkcs11" or module in {"hsm.device", "hsm.session"}


def runs_jobs(module: str) -> bool:
    is_runner = module.startswith("jobs.kinds.") and module.endswith(".runner")
    return is_runner or module in {"jobs.tasks", "jobs.engine.execution", "jobs.engine.run"}


def speaks_to_a_cloud(module: str) -> bool:
    return module.partition(".")[0] in {"azure", "msal"}


@pytest.mark.parametrize("process", SHUT_OUT)
def test_a_process_that_calls_no_cloud_loads_no_sdk(process):
    assert sorted(filter(speaks_to_a_cloud, loaded_by(process))) == []


@pytest.mark.parametrize("process", SHUT_OUT)
def test_a_process_without_access_to_the_device_loads_neither_it_nor_a_runner(process):
    loaded = loaded_by(process)
    assert "jobs.models" in loaded
    assert sorted(module for module in loaded if reaches_the_device(module) or runs_jobs(module)) == []


def test_the_worker_loads_the_device_and_every_runner():
    loaded = loaded_by("worker")
    runners = {path.parent.name for path in ROOT.glob("jobs/kinds/*/runner.py")}
    assert {f"jobs.kinds.{kind}.runner" for kind in runners} <= loaded
    assert {"pkcs11", "hsm.device", "hsm.session", "jobs.tasks"} <= loaded
