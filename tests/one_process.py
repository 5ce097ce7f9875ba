"""Distributes tests over processes: any test to any process, but files whose tests share what takes long to make.

Such a file, or several that share a console, is run by one process. In effect with ``--dist loadscope``.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

BUSY_CONSOLE = "the busy console"
# What is shared, by file.
SHARING = {
    "tests/attacks/test_database_roles.py": "a server with roles",
    "tests/attacks/test_process_users.py": "an installation of many users",
    "tests/browser/test_many_groups.py": BUSY_CONSOLE,
    "tests/browser/test_quality.py": "a furnished console",
    "tests/browser/test_workbench.py": BUSY_CONSOLE,
    "tests/faults/test_installation.py": "an installation to kill",
    "tests/supervision/test_supervision.py": "an installation to stop",
}

# Files with tests of ten seconds and more: begun last, one of them would leave the other processes without work.
TAKE_LONG = {
    "tests/attacks/test_odd_requests.py",
    "tests/attacks/test_permission_matrix.py",
    "tests/damaged_answers/test_memory_worlds.py",
    "tests/faults/test_matrix.py",
    "tests/faults/test_simulation.py",
    "tests/jobs/certifications/test_certification.py",
    "tests/operations/test_backup.py",
    "tests/operations/test_disaster.py",
    "tests/operations/test_upgrade.py",
}


class OneProcessForWhatIsShared(LoadScopeScheduling):
    """Gives out single tests, and those of a sharing file together."""

    def _split_scope(self, nodeid: str) -> str:
        return SHARING.get(nodeid.partition("::")[0], nodeid)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forget what a process has done: xdist counts all its tests again after each of them."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]
