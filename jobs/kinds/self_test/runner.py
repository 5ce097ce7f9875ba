"""Run the device's self-test in a worker, and record what it found."""

from __future__ import annotations

from django.utils.translation import gettext as _

from hsm.device import get_device
from hsm.services import record_self_test
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from kmes.core.errors import DeviceError
from logging_reports.choices import Severity


def run_self_test(run: JobRun) -> None:
    """Run every test and record the results on the device's row.

    Raises:
        DeviceError: a test failed.

    """
    with step(run, "self_test"):
        device = get_device()
        results = device.self_test()
        serial = device.identity().serial
    with run.write() as tx:
        record_self_test(serial=serial, results=results, actor=run.actor)
        for result in results:
            tx.add_message(f"{result.name}: {result.detail}", Severity.INFO if result.ok else Severity.ERROR)
    failed = [result.name for result in results if not result.ok]
    if failed:
        raise DeviceError(
            _("The device failed: %(names)s.") % {"names": ", ".join(failed)}, _("Do not push keys with this device.")
        )


RUNNER = Runner(
    run=run_self_test,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
