"""App configuration of hsm."""

from django.apps import AppConfig


class HsmConfig(AppConfig):
    """The device's rows and pages. Loading it must not load PKCS#11."""

    name = "hsm"
