"""The kinds of jobs there are. A new kind is one line here."""

from __future__ import annotations

from jobs.kinds.apply_change.spec import CHANGES
from jobs.kinds.check_drift.spec import CHECK_DRIFT
from jobs.kinds.cloud_delete.spec import CLOUD_DELETE
from jobs.kinds.cloud_purge.spec import CLOUD_PURGE
from jobs.kinds.cloud_recover.spec import CLOUD_RECOVER
from jobs.kinds.create.spec import CREATE
from jobs.kinds.destroy.spec import DESTROY
from jobs.kinds.list_vaults.spec import LIST_VAULTS
from jobs.kinds.make_certificate.spec import MAKE_CERTIFICATE
from jobs.kinds.many_groups.spec import MANY_GROUPS
from jobs.kinds.prove.spec import PROVE
from jobs.kinds.repair.spec import REPAIR
from jobs.kinds.rotate.spec import ROTATE
from jobs.kinds.self_test.spec import SELF_TEST
from jobs.kinds.set_approval_policy.spec import SET_APPROVAL_POLICY
from jobs.kinds.set_enabled.spec import SET_ENABLED
from jobs.kinds.set_rotation_policy.spec import SET_ROTATION_POLICY
from jobs.kinds.set_tags.spec import SET_TAGS
from jobs.kinds.sign_report.spec import SIGN_REPORT
from jobs.kinds.synchronize.spec import SYNCHRONIZE
from jobs.kinds.test_connection.spec import TEST_CONNECTION
from jobs.spec import JobSpec

# In the order in which a list of kinds shows them.
KINDS: tuple[JobSpec, ...] = (
    CREATE,
    SYNCHRONIZE,
    ROTATE,
    SET_ENABLED,
    SET_TAGS,
    SET_ROTATION_POLICY,
    CLOUD_DELETE,
    CLOUD_RECOVER,
    CLOUD_PURGE,
    DESTROY,
    CHECK_DRIFT,
    REPAIR,
    MANY_GROUPS,
    TEST_CONNECTION,
    MAKE_CERTIFICATE,
    LIST_VAULTS,
    SELF_TEST,
    PROVE,
    SIGN_REPORT,
    SET_APPROVAL_POLICY,
    *CHANGES,
)
