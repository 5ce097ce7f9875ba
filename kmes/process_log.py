"""How the processes log to standard error. The log of what users and jobs do is ``logging_reports``."""

from __future__ import annotations

from typing import Any


def configuration(level: str) -> dict[str, Any]:
    """Return Django's LOGGING for a root level, such as INFO."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # A probe that finds a part missing answers 503 each time; that is its work, and no error here.
        "filters": {
            "no_probes": {
                "()": "django.utils.log.CallbackFilter",
                "callback": lambda record: getattr(getattr(record, "request", None), "path", "") != "/readyz",
            },
        },
        "formatters": {
            "plain": {
                "()": "kmes.core.known_secrets.MaskingFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # These print headers, bodies or tokens, and what they warn of is told by our own errors.
            "azure": {"level": "CRITICAL"},
            "msal": {"level": "CRITICAL"},
            "urllib3": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
            # Says "authenticated" of answers that are refused after that.
            "fido2": {"level": "WARNING"},
            "django.request": {"filters": ["no_probes"]},
        },
    }
