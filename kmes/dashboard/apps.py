"""App configuration of the dashboard."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from kmes.dashboard.checks import check_separation


class DashboardConfig(AppConfig):
    """Home page, health and metrics."""

    name = "kmes.dashboard"
    label = "dashboard"

    def ready(self) -> None:
        """Register the checks of a deployment, and the end of acknowledgements after each scan."""
        from jobs.schedule import after_scan  # noqa: PLC0415 - models must be loaded first
        from kmes.dashboard.attention.services import end_cured  # noqa: PLC0415

        after_scan.register(end_cured)
        register(check_separation, Tags.security, deploy=True)
