"""App configuration of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users and sign-in; connects the log to Django's sign-in signals."""

    name = "kmes.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Log every sign-in and sign-out, and register the menus of users."""
        from kmes.accounts import actions, session_limits, sign_in_log  # noqa: PLC0415 - models must be loaded first

        actions.register_all()
        sign_in_log.connect()
        session_limits.connect()
