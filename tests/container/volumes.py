"""The volumes of docker-compose.yml's one-shot ``secrets``, below a folder of the test."""

from __future__ import annotations

from pathlib import Path

from kmes.supervision.redis_access import PROCESSES


def make_volumes(folder: Path) -> dict[str, str]:
    """Make them empty. Return the environment that the one-shot is given."""
    for name in ("kmes-front", "kmes-certificate", "kmes-redis-accounts", "kmes-request-signers"):
        (folder / name).mkdir(parents=True)
    for name in PROCESSES:
        (folder / "kmes-redis-passwords" / name).mkdir(parents=True)
    for name in ("web", "worker"):
        (folder / "kmes-request-keys" / name).mkdir(parents=True)
    return {
        "KMES_SECRET_KEY_FILE": str(folder / "secret_key"),
        "KMES_DATABASE_PASSWORD_FILE": str(folder / "password"),
        "KMES_ALLOWED_HOSTS": "console.example.com, 192.0.2.7",
        "KMES_PORT": "8443",
    }
