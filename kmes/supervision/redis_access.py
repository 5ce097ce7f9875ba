"""What each process may do in Redis: an account per process, with its own password.

The rules name keys, so that the report worker can't send hints to the cloud worker, and beat can't touch reports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_CELERY = "~cloud* ~_kombu.*"
_REPORTS = "~rq:* ~kmes:notices:*"
# Marks of what changed (kmes.core.changes): a process that writes rows sets them, pages look at them.
_CHANGES = "~kmes:changes:*"
# Without the commands that change the server, list its clients or empty it. INFO: both libraries ask for the version.
_COMMANDS = "+@all -@admin -@dangerous -@scripting +info"
_RULES: Mapping[str, str] = {
    "web": f"{_CELERY} {_REPORTS} {_CHANGES} %R~kmes:heartbeat:* {_COMMANDS}",
    "worker": f"{_CELERY} {_REPORTS} {_CHANGES} ~kmes:heartbeat:worker:* {_COMMANDS}",
    "beat": f"{_CELERY} ~kmes:heartbeat:beat {_COMMANDS}",
    "reports": f"{_REPORTS} {_CHANGES} {_COMMANDS}",
}
PROCESSES = tuple(_RULES)


# Before version 7 Redis knows no rights to read only, before 6.2 no channels to take away.
FULL_RULES_SINCE = 7
_OLDER_RULES = "~* +@all -@admin -@dangerous +info"


def account_lines(passwords: Mapping[str, str], *, version: int = FULL_RULES_SINCE) -> list[str]:
    """Return the accounts' lines for Redis of a major version (Redis documentation, "ACL").

    Passwords stand there as SHA-256 only. An older Redis knows who is who, but keeps nobody from the others' keys.
    """
    lines = []
    for name, rules in _RULES.items():
        digest = hashlib.sha256(passwords[name].encode()).hexdigest()
        allowed = f"resetkeys resetchannels {rules}" if version >= FULL_RULES_SINCE else f"resetkeys {_OLDER_RULES}"
        lines.append(f"user {name} on #{digest} {allowed}")
    return lines
