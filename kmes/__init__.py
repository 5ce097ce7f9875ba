"""The Django project: settings, wiring, and the shared layers (core, ui, accounts, dashboard).

Loading the Celery application here makes it the current one in every process, so that a
hint sent by any of them goes to our broker.
"""

from kmes.celery import app as celery_app

__all__ = ["celery_app"]
