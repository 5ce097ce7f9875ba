"""The one list of reports. Each app registers its own at start-up."""

from __future__ import annotations

from typing import Any

from logging_reports.reports.definitions import Report
from logging_reports.reports.tables import make_table

_registry: dict[str, Report] = {}


def register(*reports: Report) -> None:
    """Add reports. The same name replaces the entry."""
    for report in reports:
        _registry[report.name] = report
        make_table(report)


def find_report(name: str) -> Report | None:
    """Return the report of this name, or None."""
    return _registry.get(name)


def reports_for(user: Any) -> list[Report]:
    """Return the reports that the user may see, in the order of the page."""
    allowed = (report for report in _registry.values() if user.has_right(report.right))
    return sorted(allowed, key=lambda report: (report.order, report.name))
