"""Changes of channels: add, edit, renew the secret, test, delete. Each writes its log row."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity, Topic
from logging_reports.models import LogEntry
from logging_reports.notices import signatures
from logging_reports.notices.choices import ChannelKind
from logging_reports.notices.creation import create_delivery
from logging_reports.notices.models import Channel, Delivery, Notice
from logging_reports.notices.notice_links import find_link
from logging_reports.services import record

TEST_WINDOW = timedelta(minutes=10)
MAX_TESTS_OF_A_CHANNEL = 5
MAX_TESTS = 20


@dataclass(frozen=True, kw_only=True)
class ChannelValues:
    """The values of a channel's form. ``rules``: topic to threshold."""

    name: str
    is_enabled: bool = True
    url: str = ""
    recipients: list[str] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)


def add_channel(kind: ChannelKind, values: ChannelValues, *, actor: Actor) -> Channel:
    """Add a channel. A webhook gets a signing key, of which only the salt is stored."""
    with transaction.atomic():
        channel = Channel(kind=kind, **_columns(values))
        if kind == ChannelKind.WEBHOOK:
            _set_new_key(channel)
        channel.save(force_insert=True)
        _record("notice.channel_added", channel, actor, "Notice channel %(name)s added")
    return channel


def change_channel(channel: Channel, values: ChannelValues, *, actor: Actor) -> Channel:
    """Change a channel. Its signing key stays."""
    with transaction.atomic():
        locked = Channel.objects.select_for_update().get(pk=channel.pk)
        for name, value in _columns(values).items():
            setattr(locked, name, value)
        locked.save()
        _record("notice.channel_changed", locked, actor, "Notice channel %(name)s changed")
    return locked


def delete_channel(channel: Channel, *, actor: Actor) -> None:
    """Delete a channel. Its waiting deliveries are not sent."""
    with transaction.atomic():
        if Channel.objects.filter(pk=channel.pk, deleted_at__isnull=True).update(is_enabled=False, deleted_at=now()):
            _record("notice.channel_deleted", channel, actor, "Notice channel %(name)s deleted")


def renew_secret(channel: Channel, *, actor: Actor) -> str:
    """Give a webhook a new signing key and return it. The old one is no longer used."""
    with transaction.atomic():
        locked = Channel.objects.select_for_update().get(pk=channel.pk, kind=ChannelKind.WEBHOOK)
        _set_new_key(locked)
        locked.save()
        _record("notice.secret_changed", locked, actor, "Webhook %(name)s has a new secret")
    return signatures.signing_key(locked)


def send_test(channel: Channel, *, actor: Actor) -> Delivery:
    """Queue a test notice for this channel only.

    Raises:
        ConflictError: this channel, or all together, were tested too often lately.

    """
    lately = Notice.objects.filter(topic=Topic.TEST, at__gt=now() - TEST_WINDOW)
    if lately.count() >= MAX_TESTS or lately.filter(deliveries__channel=channel).count() >= MAX_TESTS_OF_A_CHANNEL:
        raise ConflictError(_("Too many tests were sent lately."), _("Wait some minutes, and try again."))
    with transaction.atomic():
        row = _record("notice.test_sent", channel, actor, "Test of %(name)s requested by %(actor)s")
        notice = Notice.objects.create(
            key=secrets.token_hex(32),
            topic=Topic.TEST,
            event=row.event,
            severity=Severity.INFO,
            message=row.message,
            at=row.at,
            service=row.service,
            sequence=row.sequence,
            url=find_link([row]),
        )
        return create_delivery(notice, channel)


def set_own_mail(user_id: int, rules: dict[str, str], *, actor: Actor) -> Channel:
    """Set which notices a user gets by mail at the account's address."""
    with transaction.atomic():
        channel, _made = Channel.objects.update_or_create(
            user_id=user_id,
            defaults={"kind": ChannelKind.MAIL, "name": _own_name(user_id), "rules": rules, "is_enabled": True},
        )
        _record("notice.channel_changed", channel, actor, "%(actor)s chose which notices come by mail")
    return channel


def find_own_mail(user_id: int) -> Channel | None:
    """Return a user's personal channel, or None."""
    return Channel.objects.filter(user_id=user_id).first()


def find_channel(channel_id: UUID) -> Channel | None:
    """Return a shared channel, or None. Personal channels are not found."""
    return Channel.objects.filter(pk=channel_id, user_id__isnull=True, deleted_at__isnull=True).first()


def _own_name(user_id: int) -> str:
    # Not the account's name, which may change.
    return f"user-{user_id}"


def _columns(values: ChannelValues) -> dict[str, object]:
    return {
        "name": values.name,
        "is_enabled": values.is_enabled,
        "url": values.url,
        "recipients": values.recipients,
        "rules": values.rules,
    }


def _set_new_key(channel: Channel) -> None:
    channel.salt = signatures.new_salt()
    channel.key_check = signatures.check_value(channel)


def _record(event: str, channel: Channel, actor: Actor, text: str) -> LogEntry:
    data = {
        "channel": str(channel.pk),
        "kind": channel.kind,
        "in_use": channel.is_enabled,
        # Not the whole URL, which may hold a token.
        "host": urlsplit(channel.url).hostname or "",
        "recipients": channel.recipients,
        "rules": channel.rules,
        "key_check": channel.key_check,
    }
    return record(event, actor=actor, message=text % {"name": channel.name, "actor": actor.name}, data=data)
