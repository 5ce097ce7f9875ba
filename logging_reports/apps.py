"""App configuration of the log: registers notices and reports, reinstalls triggers after migrations."""

from __future__ import annotations

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from logging_reports import triggers


class LoggingReportsConfig(AppConfig):
    """The log and its pages."""

    name = "logging_reports"
    verbose_name = _("Logging and Reporting")

    def ready(self) -> None:
        """Register notices and the report, and reinstall the triggers after migrations.

        SQLite drops triggers whenever it rebuilds a table.
        """
        # Models are loaded only now.
        from kmes.core import changes  # noqa: PLC0415
        from logging_reports import services  # noqa: PLC0415
        from logging_reports.forwarding import guarded_changes  # noqa: PLC0415
        from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition  # noqa: PLC0415
        from logging_reports.models import LogEntry, LogExport  # noqa: PLC0415
        from logging_reports.notices import creation  # noqa: PLC0415
        from logging_reports.notices.models import Channel, Delivery, Notice, NoticeRead  # noqa: PLC0415
        from logging_reports.reports import activity, registry  # noqa: PLC0415

        guarded_changes.register_all()
        changes.watch("log", LogEntry)
        changes.watch("notices", Notice, NoticeRead)
        changes.watch("reports", LogExport, Channel, Delivery, ForwardingDestination, ForwardingPosition)
        services.register_entry_handler(creation.create_notices)
        registry.register(activity.ACTIVITY)
        post_migrate.connect(_install_triggers, sender=self, dispatch_uid="logging_reports.triggers")


def _install_triggers(*, using: str, **_kwargs: object) -> None:
    connection = connections[using]
    if triggers.TABLE in connection.introspection.table_names():
        triggers.install(connection)
