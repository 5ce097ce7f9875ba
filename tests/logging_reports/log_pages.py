"""A pytest plugin for the tests of the System Logs pages: somebody who reads them, and rows to read."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model

from kmes.core.actor import SYSTEM
from logging_reports.models import LogEntry
from logging_reports.services import Draft, record_many

URL = "/logs/"


@pytest.fixture
def auditor(client):
    user = get_user_model().objects.create_user("audra", role="auditor")
    client.force_login(user)
    return client


def write(count: int, event: str = "azure.probe", **fields) -> list[LogEntry]:
    return record_many([Draft(event=event, actor=SYSTEM, message=f"m{n:04}", **fields) for n in range(count)])


def shown(response) -> list[str]:
    """The messages on a page. Whole words only: a page's random tokens hold an m with four digits now and then."""
    return re.findall(r"\bm\d{4}\b", response.content.decode())
