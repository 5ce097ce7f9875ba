"""Commands for the containers of docker-compose.yml, besides the product's own.

``secrets`` makes the installation's random secrets once, as files in volumes that only the services
that need them mount. ``health NAME`` is a container's health check.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

import redis

from kmes.core import redis_url, request_keys
from kmes.core.key_files import make_key
from kmes.core.private_files import write_private
from kmes.supervision import front, readiness, redis_access

WEB_PORT = 8000
# Where the front finds its certificate, its own or the installation's.
FRONT_CERTIFICATE = "/run/kmes-certificate"
STAND_IN_PORT = 8443
WORKER_HEARTBEAT = "kmes:heartbeat:worker:*"
BEAT_HEARTBEAT = "kmes:heartbeat:beat"
REPORT_WORKERS = "rq:workers:reports"


def make_secrets(environment: dict[str, str], *, volumes: Path = Path("/run")) -> int:
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
    _make_redis_accounts(volumes / "kmes-redis-accounts" / "users.acl", volumes / "kmes-redis-passwords")
    _make_front(volumes, environment)
    made = request_keys.make_request_keys(
        volumes / "kmes-request-keys", volumes / "kmes-request-signers" / "public.json"
    )
    for signer in made:
        print(f"made the key with which {signer} signs requests")
    if make_key(volumes / "kmes-second-factor" / "key"):
        print("made the key of second factors")
    return 0


def _make_redis_accounts(accounts: Path, folder: Path) -> None:
    """Make each process's password that is missing, and rewrite the accounts: a release may change their rules."""
    passwords = {}
    for name in redis_access.PROCESSES:
        path = folder / name / "password"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48))
            print(f"made {path}")
        passwords[name] = path.read_text()
    # Without an account a client can ask whether the server is up.
    stranger = "user default on nopass resetkeys resetchannels -@all +ping"
    write_private(accounts, "\n".join([stranger, *redis_access.account_lines(passwords)]) + "\n")
    # Redis reads it as another user; it holds hashes of random passwords.
    accounts.chmod(0o444)


def _make_front(volumes: Path, environment: dict[str, str]) -> None:
    """Rewrite the configuration of the TLS front, and its own certificate if it is missing or about to expire."""
    settings = front.configuration(
        web=f"web:{WEB_PORT}",
        certificate=FRONT_CERTIFICATE,
        public_port=environment["KMES_PORT"],
        has_resolver=True,
    )
    write_private(volumes / "kmes-front" / front.CONFIGURATION, settings)
    write_private(volumes / "kmes-front" / front.START, front.start_script())
    hosts = [host.strip() for host in environment["KMES_ALLOWED_HOSTS"].split(",") if host.strip(" *")]
    if front.make_certificate(volumes / "kmes-certificate", hosts or ["localhost"]):
        print("made a certificate for", ", ".join(hosts or ["localhost"]))


def _open_redis(environment: dict[str, str]) -> redis.Redis:
    url = redis_url.complete(
        environment.get("KMES_REDIS_URL", "redis://127.0.0.1:6390/0"),
        password=redis_url.read_password(environment.get("KMES_REDIS_PASSWORD_FILE", "")),
        ca_file=environment.get("KMES_REDIS_CA_FILE", ""),
    )
    return redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3)


def is_healthy(name: str, environment: dict[str, str]) -> bool:
    """Say whether this container's process works.

    Raises KeyError for an unknown name.
    """
    if name == "web":
        return readiness.answers(WEB_PORT)
    if name == "stand-in":
        with socket.create_connection(("127.0.0.1", STAND_IN_PORT), timeout=3):
            return True
    if name not in {"worker", "beat", "reports"}:
        raise KeyError(name)
    with _open_redis(environment) as client:
        if name == "worker":
            # Any worker's heartbeat: of several workers only one runs each scan.
            return any(True for _key in client.scan_iter(WORKER_HEARTBEAT, count=1000))
        if name == "beat":
            return bool(client.exists(BEAT_HEARTBEAT))
        return bool(client.scard(REPORT_WORKERS))


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
    except (OSError, redis.RedisError) as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
