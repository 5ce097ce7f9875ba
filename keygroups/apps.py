"""App configuration of keygroups."""

from django.apps import AppConfig


class KeygroupsConfig(AppConfig):
    """Registers menu actions and navigation of groups and keys."""

    name = "keygroups"

    def ready(self) -> None:
        """Register menus and reports."""
        from keygroups import actions, landings, reports  # noqa: PLC0415 - models must be loaded first

        actions.register_all()
        landings.register_all()
        reports.register_all()
