"""Sends one notice by mail, over the server that the EMAIL settings name."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _

from kmes.core.clock import stamp
from logging_reports.notices.errors import DeliveryError
from logging_reports.notices.models import Channel, Delivery, Notice
from logging_reports.notices.texts import absolute_url, headline, text_of
from logging_reports.safe_text import visible

_ANSWER_LENGTH = 120


def send(delivery: Delivery) -> str:
    """Mail the notice to the channel's recipients. Return a short answer for the delivery log.

    Raises:
        DeliveryError: no mail server accepted it.

    """
    if not settings.EMAIL_HOST:
        raise DeliveryError(
            _("No mail server is set up."), _("Set KMES_EMAIL_HOST for the report worker and the web process.")
        )
    recipients = recipients_of(delivery.channel)
    if not recipients:
        raise DeliveryError(_("There is no recipient."), _("Enter an address, or see that the account has one."))
    try:
        _build(delivery, recipients).send()
    except (OSError, smtplib.SMTPException) as error:
        reason = visible(str(error))[:_ANSWER_LENGTH]
        raise DeliveryError(
            _("The mail server did not take it: %(reason)s") % {"reason": reason}, retryable=True
        ) from error
    return _("Taken by %(host)s") % {"host": settings.EMAIL_HOST}


def recipients_of(channel: Channel) -> list[str]:
    """Return the addresses of a channel. A personal channel has that of its account while it is active."""
    if channel.user_id is None:
        return [str(address) for address in channel.recipients]
    user = get_user_model().objects.filter(pk=channel.user_id, is_active=True).first()
    address = getattr(user, "email", "")
    return [address] if address else []


def _build(delivery: Delivery, recipients: list[str]) -> EmailMessage:
    notice = delivery.notice
    return EmailMessage(
        subject=visible(f"[KMES] {notice.get_severity_display()}: {headline(notice)}"),
        body=_text(notice),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=recipients,
        # A repeat has the same id, so mail programs show it once. Auto-Submitted avoids automatic replies.
        headers={"Message-ID": f"<{delivery.pk}@kmes>", "Auto-Submitted": "auto-generated"},
        connection=get_connection(timeout=settings.EMAIL_TIMEOUT),
    )


def _text(notice: Notice) -> str:
    lines = [
        text_of(notice),
        "",
        _("Time: %(time)s UTC") % {"time": stamp(notice.at)},
        _("Log row: %(service)s %(sequence)d") % {"service": notice.get_service_display(), "sequence": notice.sequence},
        absolute_url(notice.url),
    ]
    return "\n".join(lines) + "\n"
