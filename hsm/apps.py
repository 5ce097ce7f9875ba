"""App configuration of hsm."""

from django.apps import AppConfig


class HsmConfig(AppConfig):
    """The device's rows and pages. Loading the app must not load PKCS#11."""

    name = "hsm"

    def ready(self) -> None:
        """Register where notices about the device lead, and the change that a policy can be about."""
        from hsm import guarded_changes, notice_links  # noqa: PLC0415 - models must be loaded first

        guarded_changes.register_all()
        notice_links.register_all()
