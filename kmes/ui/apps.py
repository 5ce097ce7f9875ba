"""App configuration of the shell."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """The shell's only rows are what users chose for their pages."""

    name = "kmes.ui"
    label = "ui"
