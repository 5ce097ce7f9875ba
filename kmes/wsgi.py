"""The WSGI entry point of the web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("KMES_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

application = get_wsgi_application()

# Imported for its effect: it makes our Celery app the current one, so that the web process
# can send hints. It must come after Django is set up.
from kmes import celery as _celery  # noqa: E402, F401
