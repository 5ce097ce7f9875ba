"""What each kind of job does. A runner works under one claim and can be run again after a crash."""

from __future__ import annotations

from collections.abc import Callable

from jobs.choices import JobKind
from jobs.engine.run import JobRun
from jobs.kinds.check_drift.runner import run_check_drift
from jobs.kinds.create.runner import run_create
from jobs.kinds.destroy.runner import run_destroy
from jobs.kinds.prove.runner import run_prove
from jobs.kinds.repair.runner import run_repair
from jobs.kinds.rotate.runner import run_rotate
from jobs.kinds.self_test.runner import run_self_test
from jobs.kinds.set_enabled.runner import run_set_enabled
from jobs.kinds.sign_report.runner import run_sign_report
from jobs.kinds.synchronize.runner import run_synchronize
from jobs.kinds.test_connection.runner import run_list_vaults, run_test_connection
from jobs.kinds.whole_key import run_delete, run_purge, run_recover

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
