"""App configuration of cloudcreds."""

from django.apps import AppConfig


class CloudcredsConfig(AppConfig):
    """Registers the menu actions of credentials."""

    name = "cloudcreds"

    def ready(self) -> None:
        """Register menus, where notices lead, and what the search finds."""
        from cloudcreds import actions, landings, search  # noqa: PLC0415 - models must be loaded first

        actions.register_all()
        landings.register_all()
        search.register_all()
