"""App configuration of operations."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Commands and pages for who runs the console."""

    name = "kmes.operations"
    label = "operations"

    def ready(self) -> None:
        """Let packages below read the options somebody chose."""
        from kmes.core.options import register_reader  # noqa: PLC0415 - models must be loaded first
        from kmes.operations.services import read_option  # noqa: PLC0415

        register_reader(read_option)
