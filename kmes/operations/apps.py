"""App configuration of operations."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from kmes.operations.connections import switch_off_jit


class OperationsConfig(AppConfig):
    """Commands and pages for the console's operators."""

    name = "kmes.operations"
    label = "operations"

    def ready(self) -> None:
        """Register the reader of chosen options, prepare connections, and renew the rights of the database's roles after migrations."""
        from kmes.core.options import register_reader  # noqa: PLC0415 - models must be loaded first
        from kmes.operations import guarded_changes  # noqa: PLC0415
        from kmes.operations.services import read_option  # noqa: PLC0415

        register_reader(read_option)
        guarded_changes.register_all()
        from kmes.operations.deployment_checks import TAG, check_deployment  # noqa: PLC0415 - as above

        register(check_deployment, TAG, deploy=True)
        connection_created.connect(switch_off_jit, dispatch_uid="operations.connections")
        post_migrate.connect(_grant_rights, sender=self, dispatch_uid="operations.database_roles")


def _grant_rights(*, using: str, **_kwargs: object) -> None:
    """Grant each role its rights on new tables and columns, or those that a restore created."""
    from kmes.operations import database_roles  # noqa: PLC0415 - as above

    if using == DEFAULT_DB_ALIAS and database_roles.is_used() and database_roles.may_grant():
        database_roles.grant_rights()
