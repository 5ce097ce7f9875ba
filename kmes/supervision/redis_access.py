"""What each process may do in the Redis of docker-compose.yml: an account per process, with its own password.

The rules name keys, so that the report worker can't send hints to the cloud worker, and beat can't touch reports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_CELERY = "~cloud* ~_kombu.*"
_REPORTS = "~rq:* ~kmes:notices:*"
# Without the commands that change the server, list its clients or empty it. INFO: both libraries ask for the version.
_COMMANDS = "+@all -@admin -@dangerous -@scripting +info"
_RULES: Mapping[str, str] = {
    "web": f"{_CELERY} {_REPORTS} %R~kmes:heartbeat:* {_COMMANDS}",
    # Kombu keeps what is not acknowledged in keys of its own, under a lock that it releases by a script.
    "worker": f"{_CELERY} ~unacked* {_REPORTS} ~kmes:heartbeat:worker:* {_COMMANDS} +@scripting",
    "beat": f"{_CELERY} ~kmes:heartbeat:beat {_COMMANDS}",
    "reports": f"{_REPORTS} {_COMMANDS}",
}
PROCESSES = tuple(_RULES)


def account_lines(passwords: Mapping[str, str]) -> list[str]:
    """Return the lines of an ACL file (Redis documentation, "ACL"): passwords stand there as SHA-256 only.

    Without an account a client can ask whether the server is up.
    """
    lines = ["user default on nopass resetkeys resetchannels -@all +ping"]
    for name, rules in _RULES.items():
        digest = hashlib.sha256(passwords[name].encode()).hexdigest()
        lines.append(f"user {name} on #{digest} resetkeys resetchannels {rules}")
    return lines
