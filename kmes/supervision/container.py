"""Commands for the containers of docker-compose.yml, besides the product's own.

``secrets`` makes the installation's random secrets once, as files in volumes that only the services
that need them mount. ``health NAME`` is a container's health check.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import urllib.parse
from pathlib import Path

from kmes.supervision import readiness

WEB_PORT = 8000
STAND_IN_PORT = 8443
WORKER_HEARTBEAT = "kmes:heartbeat:worker:*"
BEAT_HEARTBEAT = "kmes:heartbeat:beat"
REPORT_WORKERS = "rq:workers:reports"


def make_secrets(environment: dict[str, str]) -> int:
    """Write each secret file that does not exist yet; a file that exists is never touched."""
    # The database image reads its file as another user; only two services mount its volume.
    wanted = {"KMES_SECRET_KEY_FILE": 0o400, "KMES_DATABASE_PASSWORD_FILE": 0o444}
    for name, mode in wanted.items():
        path = Path(environment[name])
        if path.exists():
            continue
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(secrets.token_urlsafe(48))
        temporary.chmod(mode)
        temporary.replace(path)
        print(f"made {path}")
    return 0


def _ask_redis(url: str, *commands: tuple[str, ...]) -> list[bytes]:
    """Send commands to Redis in its own protocol; returns the first bytes of each answer."""
    place = urllib.parse.urlsplit(url)
    answers = []
    with socket.create_connection((place.hostname or "127.0.0.1", place.port or 6379), timeout=3) as connection:
        for command in commands:
            parts = [f"${len(part)}\r\n{part}\r\n" for part in command]
            connection.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
            answers.append(connection.recv(65_536))
    return answers


def is_healthy(name: str, environment: dict[str, str]) -> bool:
    """Say whether this container's process works.

    Raises KeyError for an unknown name.
    """
    redis_url = environment.get("KMES_REDIS_URL", "redis://127.0.0.1:6390/0")
    if name == "web":
        return readiness.answers(WEB_PORT)
    if name == "stand-in":
        with socket.create_connection(("127.0.0.1", STAND_IN_PORT), timeout=3):
            return True
    if name == "worker":
        # Any worker's heartbeat: of several workers only one runs each scan.
        return not _ask_redis(redis_url, ("KEYS", WORKER_HEARTBEAT))[0].startswith((b"*0", b"-"))
    if name == "beat":
        return _ask_redis(redis_url, ("EXISTS", BEAT_HEARTBEAT)) == [b":1\r\n"]
    if name == "reports":
        return not _ask_redis(redis_url, ("SCARD", REPORT_WORKERS))[0].startswith((b":0", b"-"))
    raise KeyError(name)


def main(arguments: list[str]) -> int:
    """Run ``secrets`` or ``health NAME``; returns the exit code."""
    environment = dict(os.environ)
    if arguments == ["secrets"]:
        return make_secrets(environment)
    try:
        command, name = arguments
        if command != "health":
            raise ValueError(command)
        return 0 if is_healthy(name, environment) else 1
    except (ValueError, KeyError):
        print("usage: python -m kmes.supervision.container secrets | health web|worker|beat|reports|stand-in")
        return 2
    except OSError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
