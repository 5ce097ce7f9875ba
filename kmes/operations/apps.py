"""App configuration of operations."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Commands and pages for who runs the console."""

    name = "kmes.operations"
    label = "operations"
