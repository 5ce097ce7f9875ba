"""App configuration of accounts."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users and sign-in; connects the log to Django's sign-in signals."""

    name = "kmes.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Log every sign-in and sign-out, and register the menus of users."""
        # Models must be loaded first.
        from kmes.accounts import (  # noqa: PLC0415
            acting_views,
            actions,
            guarded_changes,
            notice_links,
            session_limits,
            sign_in_log,
        )
        from kmes.accounts.assignments import guarded_changes as scoped_roles  # noqa: PLC0415
        from kmes.accounts.company_sign_on import role_mapping  # noqa: PLC0415
        from kmes.accounts.dual_login import guarded_changes as dual_login_changes  # noqa: PLC0415
        from kmes.accounts.dual_login.role_uses import find_uses  # noqa: PLC0415
        from kmes.accounts.roles import uses  # noqa: PLC0415
        from kmes.accounts.second_factor import checks, sign_in  # noqa: PLC0415

        actions.register_all()
        guarded_changes.register_all()
        scoped_roles.register_all()
        dual_login_changes.register_all()
        sign_in_log.connect()
        session_limits.connect()
        sign_in.connect()
        checks.register_all()
        acting_views.register_all()
        uses.register(find_uses)
        uses.register(role_mapping.find_uses)
        notice_links.register_all()
