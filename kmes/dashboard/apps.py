"""App configuration of the dashboard."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Home page, health and metrics."""

    name = "kmes.dashboard"
    label = "dashboard"
