"""The WSGI entry point of the web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("KMES_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

application = get_wsgi_application()
