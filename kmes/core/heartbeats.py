"""Redis keys by which worker and beat show that they run. Each key expires after HEARTBEAT_SECONDS."""

HEARTBEAT_SECONDS = 60
BEAT_KEY = "kmes:heartbeat:beat"
WORKER_PREFIX = "kmes:heartbeat:worker:"


def worker_key(host: str) -> str:
    """Return the key of the worker on a host."""
    return f"{WORKER_PREFIX}{host}"
