"""App configuration of the shell."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """The shell has no rows, only templates, tags and static files."""

    name = "kmes.ui"
    label = "ui"
