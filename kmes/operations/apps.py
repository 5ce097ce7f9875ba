"""App configuration of operations."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Commands and pages for the console's operators."""

    name = "kmes.operations"
    label = "operations"

    def ready(self) -> None:
        """Register the reader of chosen options for the packages below."""
        from kmes.core.options import register_reader  # noqa: PLC0415 - models must be loaded first
        from kmes.operations.services import read_option  # noqa: PLC0415

        register_reader(read_option)
