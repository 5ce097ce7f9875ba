"""App configuration of keygroups."""

from django.apps import AppConfig


class KeygroupsConfig(AppConfig):
    """Registers menu actions and navigation of groups and keys."""

    name = "keygroups"

    def ready(self) -> None:
        """Register menus, reports, links of notices, and what the search finds."""
        # Models must be loaded first.
        from keygroups import actions, guarded_changes, notice_links, reports, search  # noqa: PLC0415
        from keygroups.scope_catalog import ScopeCatalog  # noqa: PLC0415
        from kmes.accounts import acting_views  # noqa: PLC0415
        from kmes.accounts.assignments import catalog  # noqa: PLC0415
        from kmes.core import changes  # noqa: PLC0415

        changes.watch("keys", *self.get_models())
        actions.register_all()
        guarded_changes.register_all()
        notice_links.register_all()
        reports.register_all()
        search.register_all()
        catalog.install(ScopeCatalog())
        # Menus, previews and lists for a form, which are sent by POST and change nothing.
        views = ("selection_actions", "group_selection_actions", "preview", "vaults")
        acting_views.exempt(*(f"keygroups:{view}" for view in views))
