"""A pytest plugin for the tests of what leaves the console: a receiver, a mail server, channels, and something to tell."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import redis

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.models import Delivery
from logging_reports.notices import channels
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import ChannelKind
from logging_reports.services import record
from tests.logging_reports.receiver import running_mailbox, running_receiver
from tests.logging_reports.report_running import run_reports


@pytest.fixture(autouse=True)
def development_settings(settings):
    """Loopback receivers, and the retries of the product."""
    settings.KMES_WEBHOOK_ALLOW_HTTP = True
    settings.KMES_PUBLIC_URL = "https://kmes.example.com/"


@pytest.fixture
def empty_redis(redis_server):
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def receiver():
    with running_receiver() as state:
        yield state


@pytest.fixture
def mailbox(settings):
    with running_mailbox() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_USE_TLS = False
        settings.DEFAULT_FROM_EMAIL = "kmes@example.com"
        yield box


def make_webhook(url, **changes):
    values = ChannelValues(name="hook", url=url, rules={"jobs": "warning"}, **changes)
    return channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)


def make_mail(recipients):
    values = ChannelValues(name="list", recipients=recipients, rules={"jobs": "warning"})
    return channels.add_channel(ChannelKind.MAIL, values, actor=SYSTEM)


def fail_job(message="Synchronize payments: the vault said no"):
    return record("job.failed", actor=SYSTEM, message=message, job_id=uuid4(), job_code="7F3KQ2")


def run_worker(client) -> None:
    """Let a real report worker do what lies in its queue."""
    assert run_reports(client).failed_job_registry.count == 0


def make_due() -> None:
    Delivery.objects.filter(state="waiting").update(next_try_at=now() - timedelta(seconds=1))
