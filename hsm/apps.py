"""App configuration of hsm."""

from django.apps import AppConfig


class HsmConfig(AppConfig):
    """The device's rows and pages. Loading it must not load PKCS#11."""

    name = "hsm"

    def ready(self) -> None:
        """Say where notices about the device lead."""
        from hsm import landings  # noqa: PLC0415 - models must be loaded first

        landings.register_all()
