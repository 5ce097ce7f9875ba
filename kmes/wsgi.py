"""The WSGI entry point of the web process."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("KMES_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

application = get_wsgi_application()
# Gunicorn loads this once and then forks. A garbage collection writes into each object it looks at, and
# what is written to is shared no longer, so it must not look at what every process is born with.
gc.freeze()
