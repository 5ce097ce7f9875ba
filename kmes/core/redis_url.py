"""The address of Redis with its password and its TLS options.

Knows no settings: they, the supervisor and a container's health check use it.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from kmes.core import known_secrets

PLAIN, ENCRYPTED = "redis", "rediss"


def complete(url: str, *, password: str = "", ca_file: str = "") -> str:
    """Return the address with the password, and with the options that make TLS verify the server.

    Without ``ssl_cert_reqs`` kombu encrypts, but verifies no certificate (docs/reliability.md, "Redis and Celery").

    Raises:
        ValueError: the scheme is neither redis nor rediss, or the address turns verification off.

    """
    parts = urlsplit(url)
    if parts.scheme not in {PLAIN, ENCRYPTED}:
        message = f"the address of Redis begins with redis:// or rediss://, not with {parts.scheme}://"
        raise ValueError(message)
    place, query = parts.netloc, dict(parse_qsl(parts.query))
    if password and parts.password is None:
        user, _at, host = place.rpartition("@")
        place = f"{user}:{quote(password, safe='')}@{host}"
    if parts.scheme == ENCRYPTED:
        is_checked = query.get("ssl_check_hostname", "true").lower() == "true"
        if query.setdefault("ssl_cert_reqs", "required") != "required" or not is_checked:
            message = "the address of Redis must not turn the verification of its certificate off"
            raise ValueError(message)
        if ca_file:
            query.setdefault("ssl_ca_certs", ca_file)
    return urlunsplit((parts.scheme, place, parts.path, urlencode(query), ""))


def read_password(file: str, *, made: Path | None = None) -> str:
    """Return the password in a file, else the one that was made; "" without both. Logs mask it from now on."""
    if file:
        password = Path(file).read_text().strip()
    else:
        password = made.read_text().strip() if made is not None and made.exists() else ""
    known_secrets.remember(password)
    return password


def with_timeouts(url: str, *, seconds: int) -> str:
    """Return the address with time-outs, for a library that takes none beside an address."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}socket_timeout={seconds}&socket_connect_timeout={seconds}"
