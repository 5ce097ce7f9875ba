"""App configuration of the shell."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """The shell's only rows are what users chose for their pages."""

    name = "kmes.ui"
    label = "ui"

    def ready(self) -> None:
        """Let each new session bring its user's choices along, and no other user's form."""
        from kmes.core import changes  # noqa: PLC0415 - models must be loaded first
        from kmes.ui import cell_arguments, ended_sessions, preferences  # noqa: PLC0415

        cell_arguments.install()
        changes.connect()
        preferences.connect()
        ended_sessions.connect()
