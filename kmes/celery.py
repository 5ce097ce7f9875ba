"""The Celery application: broker settings only.

A message is a hint that carries a job's id and nothing else; the Job row is the truth
(docs/decisions/0002-rows-are-the-truth.md). Therefore early acknowledgement, no result
backend, no eta, no soft time limits (they raise at any bytecode, also inside a commit).
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

app = Celery("kmes")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])
