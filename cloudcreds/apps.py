"""App configuration of cloudcreds."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class CloudcredsConfig(AppConfig):
    """Registers Azure as a cloud provider, and what other apps show of credentials."""

    name = "cloudcreds"

    def ready(self) -> None:
        """Register the provider, menus, the links of notices, and the search."""
        from cloudcreds import actions, guarded_changes, notice_links, search  # noqa: PLC0415 - models must be loaded first
        from cloudcreds.azure.provider import AzureProvider  # noqa: PLC0415
        from cloudcreds.provider import registry  # noqa: PLC0415
        from kmes.accounts import acting_views  # noqa: PLC0415
        from kmes.core import changes  # noqa: PLC0415

        changes.watch("keys", *self.get_models())
        registry.register(AzureProvider())
        actions.register_all()
        guarded_changes.register_all()
        notice_links.register_all()
        search.register_all()
        views = [f"cloudcreds:{act}" for act in ("add", "edit", "use_certificate", "delete")]
        acting_views.add_action("credentials", gettext_lazy("Changing cloud credentials"))
        acting_views.register(*views, codes="credentials")
