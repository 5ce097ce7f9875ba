"""What each kind of job does. A runner works under one claim and can be run again after a crash."""

from __future__ import annotations

from collections.abc import Callable

from jobs.choices import JobKind
from jobs.context import JobRun
from jobs.runners.connection import run_list_vaults, run_test_connection
from jobs.runners.create import run_create
from jobs.runners.deletion import run_delete, run_purge, run_recover
from jobs.runners.destroy import run_destroy
from jobs.runners.drift import run_check_drift
from jobs.runners.proof import run_prove
from jobs.runners.repair import run_repair
from jobs.runners.report import run_sign_report
from jobs.runners.rotate import run_rotate
from jobs.runners.self_test import run_self_test
from jobs.runners.set_enabled import run_set_enabled
from jobs.runners.synchronize import run_synchronize

RUNNERS: dict[str, Callable[[JobRun], None]] = {
    JobKind.CREATE: run_create,
    JobKind.SYNCHRONIZE: run_synchronize,
    JobKind.ROTATE: run_rotate,
    JobKind.SET_ENABLED: run_set_enabled,
    JobKind.CLOUD_DELETE: run_delete,
    JobKind.CLOUD_RECOVER: run_recover,
    JobKind.CLOUD_PURGE: run_purge,
    JobKind.DESTROY: run_destroy,
    JobKind.CHECK_DRIFT: run_check_drift,
    JobKind.REPAIR: run_repair,
    JobKind.TEST_CONNECTION: run_test_connection,
    JobKind.LIST_VAULTS: run_list_vaults,
    JobKind.SELF_TEST: run_self_test,
    JobKind.PROVE: run_prove,
    JobKind.SIGN_REPORT: run_sign_report,
}
