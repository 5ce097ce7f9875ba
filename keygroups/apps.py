"""App configuration of keygroups."""

from django.apps import AppConfig


class KeygroupsConfig(AppConfig):
    """Registers menu actions and navigation of groups and keys."""

    name = "keygroups"

    def ready(self) -> None:
        """Register menus, reports, links of notices, and what the search finds."""
        from keygroups import actions, notice_links, reports, search  # noqa: PLC0415 - models must be loaded first
        from kmes.core import changes  # noqa: PLC0415

        changes.watch("keys", *self.get_models())
        actions.register_all()
        notice_links.register_all()
        reports.register_all()
        search.register_all()
