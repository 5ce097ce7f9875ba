"""Sends a signed body to a webhook: HTTPS to a checked address, no redirects, ten seconds in total."""

from __future__ import annotations

import http.client
import json
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core import clock
from kmes.core.errors import InputError
from logging_reports import guarded_http
from logging_reports.notices import signatures, webhook_addresses
from logging_reports.notices.errors import DeliveryError
from logging_reports.notices.models import Delivery
from logging_reports.notices.texts import absolute_url, headline, text_of
from logging_reports.notices.webhook_addresses import Target
from logging_reports.safe_text import visible

SECONDS = 10
_ANSWER_LENGTH = 120


def build_body(delivery: Delivery) -> dict[str, Any]:
    """Return the body: ids and labels of the log, no secret."""
    notice = delivery.notice
    return {
        "id": str(delivery.pk),
        "event": notice.event,
        "topic": notice.topic,
        "severity": notice.severity,
        "time": notice.at.isoformat(),
        "title": headline(notice),
        "message": text_of(notice),
        "count": notice.count,
        "url": absolute_url(notice.url),
        "log": {"service": notice.service, "sequence": notice.sequence},
    }


def send(delivery: Delivery) -> str:
    """Post the notice. Return the receiver's answer for the delivery log.

    Raises:
        DeliveryError: the receiver was not reached or did not accept the notice.

    """
    channel = delivery.channel
    if channel.key_check != signatures.check_value(channel):
        raise DeliveryError(
            _("The console's own signing key has changed, and with it this webhook's secret."),
            _("Make a new secret on the channel's page and give it to the receiver."),
        )
    body = json.dumps(build_body(delivery), ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(clock.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "KMES-console",
        "X-KMES-Delivery": str(delivery.pk),
        "X-KMES-Event": delivery.notice.event,
        "X-KMES-Timestamp": str(timestamp),
        "X-KMES-Signature": signatures.sign(signatures.signing_key(channel), timestamp, body),
    }
    try:
        target = webhook_addresses.parse(channel.url)
        return _post(target, webhook_addresses.resolve(target), body, headers)
    except InputError as error:
        raise DeliveryError(error.what, error.remedy) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> DeliveryError:
    text = getattr(error, "strerror", "") or str(error) or type(error).__name__
    reason = visible(text)[:_ANSWER_LENGTH]
    return DeliveryError(_("The receiver can't be reached: %(reason)s.") % {"reason": reason}, retryable=True)


def _post(target: Target, address: str, body: bytes, headers: dict[str, str]) -> str:
    answer = guarded_http.send(target, address, body, headers, ca_file=settings.KMES_WEBHOOK_CA_FILE, seconds=SECONDS)
    text = visible(f"HTTP {answer.status} {answer.reason}")[:_ANSWER_LENGTH]
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return text
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        text = _("%(answer)s; redirects are not followed") % {"answer": text}
    raise DeliveryError(_("The receiver answered %(answer)s.") % {"answer": text}, retryable=True)
