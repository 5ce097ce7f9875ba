"""Distributes tests over processes: any test to any process, but files whose tests share what takes long to make.

Such a file, or several that share a console, is run by one process. In effect with ``--dist loadscope``.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

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


class OneProcessForWhatIsShared(LoadScopeScheduling):
    """Gives out single tests, and those of a sharing file together."""

    def _split_scope(self, nodeid: str) -> str:
        return SHARING.get(nodeid.partition("::")[0], nodeid)
