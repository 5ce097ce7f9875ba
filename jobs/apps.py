"""App configuration of jobs."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Registers what can be started from the menus of keys, groups and credentials."""

    name = "jobs"

    def ready(self) -> None:
        """Register menus and navigation."""
        from cloudcreds import activity  # noqa: PLC0415 - models must be loaded first
        from jobs import actions  # noqa: PLC0415
        from jobs.selectors import find_activity  # noqa: PLC0415

        actions.register_all()
        activity.register(find_activity)
