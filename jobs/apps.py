"""App configuration of jobs."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Registers what can be started from the menus of keys, groups and credentials."""

    name = "jobs"

    def ready(self) -> None:
        """Register menus and navigation."""
        from jobs import actions  # noqa: PLC0415 - models must be loaded first

        actions.register_all()
