"""App configuration of the dashboard."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from kmes.dashboard.checks import check_separation


class DashboardConfig(AppConfig):
    """Home page, health and metrics."""

    name = "kmes.dashboard"
    label = "dashboard"

    def ready(self) -> None:
        """Register the checks of a deployment."""
        register(check_separation, Tags.security, deploy=True)
