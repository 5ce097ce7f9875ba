"""The WSGI entry point of the web process."""

import gc
import logging
import os

import django

from kmes.web_requests import Handler

os.environ.setdefault("KMES_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

# As django.core.wsgi.get_wsgi_application does it.
django.setup(set_prefix=False)
application = Handler()


def _watch_mfk() -> None:
    """Compare the MFK's public half with the pinned one, and raise the alarm when it was exchanged."""
    # Models can only be imported once Django is set up.
    from django.db import DatabaseError, connection  # noqa: PLC0415

    from hsm.mfk_guard import describe, watch_mfk  # noqa: PLC0415
    from logging_reports.services import LogWriteError  # noqa: PLC0415

    try:
        what, remedy = describe(watch_mfk())
        if what:
            logging.getLogger(__name__).warning("%s %s", what, remedy)
    except (DatabaseError, LogWriteError):
        # Each sealing compares again, and /readyz says that the database does not answer.
        logging.getLogger(__name__).warning("the MFK's public half could not be compared: the database failed")
    finally:
        # Gunicorn forks after this file is loaded; processes must not share a connection.
        connection.close()


_watch_mfk()
# Gunicorn loads this once and then forks. A garbage collection writes into each object it looks at, and
# what is written to is shared no longer, so it must not look at what every process is born with.
gc.freeze()
