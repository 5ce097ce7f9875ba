"""The only writer of a delivery's state: claims, sends, writes the outcome. Runs in the report worker.

Delivers at least once: if a worker dies between sending and writing, its lease expires and the notice
is sent again with the same id. The due times are in the rows, so losing Redis only delays deliveries.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.notices import mail, webhooks
from logging_reports.notices.choices import ChannelKind, DeliveryState
from logging_reports.notices.errors import DeliveryError
from logging_reports.notices.models import Delivery
from logging_reports.services import record

logger = logging.getLogger(__name__)
# Longer than any try.
LEASE_SECONDS = 300
BATCH = 200
# A round ends after this. The next hint continues.
ROUND_SECONDS = 300
_NOT_IN_USE = "not_in_use"
_SENDERS = {ChannelKind.MAIL: mail.send, ChannelKind.WEBHOOK: webhooks.send}


def has_due() -> bool:
    """Return whether a delivery is due."""
    return Delivery.objects.filter(_due()).exists()


def deliver_due() -> int:
    """Send the due deliveries, oldest first. Return the number of tries.

    A channel that fails gets one try per round, so that many notices for one dead receiver don't delay
    the others.
    """
    failed: set[UUID] = set()
    tries, ends_at = 0, time.monotonic() + ROUND_SECONDS
    due = Delivery.objects.filter(_due()).order_by("next_try_at", "created_at")
    for delivery_id, channel_id in list(due.values_list("pk", "channel_id")[:BATCH]):
        if time.monotonic() > ends_at:
            break
        if channel_id in failed:
            continue
        delivery = claim(delivery_id)
        if delivery is None:
            continue
        tries += 1
        if not _try(delivery):
            failed.add(channel_id)
    return tries


def claim(delivery_id: UUID) -> Delivery | None:
    """Claim a due delivery. None when another worker has it or it is finished."""
    lease = now() + timedelta(seconds=LEASE_SECONDS)
    if not Delivery.objects.filter(_due(), pk=delivery_id).update(lease_until=lease, attempts=F("attempts") + 1):
        return None
    return Delivery.objects.select_related("notice", "channel").get(pk=delivery_id)


def tries_allowed() -> int:
    """Return the maximum number of tries of a delivery."""
    return len(settings.KMES_NOTICE_RETRY_SECONDS) + 1


def _due() -> Q:
    moment = now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=moment)
    return Q(state=DeliveryState.WAITING, next_try_at__lte=moment) & free


def _try(delivery: Delivery) -> bool:
    """Try once and write the outcome. Return whether the channel works."""
    try:
        if delivery.attempts > tries_allowed():
            raise DeliveryError(_("The report worker stopped during the last try; nobody knows its outcome."))
        if not delivery.channel.is_enabled:
            raise DeliveryError(_("The channel was switched off or deleted."), code=_NOT_IN_USE)
        answer = _SENDERS[ChannelKind(delivery.channel.kind)](delivery)
    except DeliveryError as error:
        _write_failure(delivery, error)
        return False
    except Exception:
        # As after the death of a worker, the lease expires and another try follows.
        logger.exception("delivery %s met an unexpected error", delivery.pk)
        return False
    _write_outcome(delivery, DeliveryState.DELIVERED, answer)
    return True


def _write_outcome(
    delivery: Delivery, state: DeliveryState, answer: str, *, next_try_at: datetime | None = None
) -> bool:
    """Write the outcome unless another worker has claimed the delivery. Return whether it was written."""
    values: dict[str, Any] = {"state": state, "last_answer": answer[:255], "lease_until": None}
    if next_try_at is not None:
        values["next_try_at"] = next_try_at
    else:
        values["finished_at"] = now()
    held = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING, attempts=delivery.attempts)
    return bool(held.update(**values))


def _write_failure(delivery: Delivery, error: DeliveryError) -> None:
    delays = settings.KMES_NOTICE_RETRY_SECONDS
    if error.retryable and delivery.attempts <= len(delays):
        later = now() + timedelta(seconds=delays[delivery.attempts - 1])
        _write_outcome(delivery, DeliveryState.WAITING, str(error), next_try_at=later)
        return
    with transaction.atomic():
        # A disabled or deleted channel is intended, so it is not logged as a failure.
        if _write_outcome(delivery, DeliveryState.FAILED, str(error)) and error.code != _NOT_IN_USE:
            record(
                "notice.delivery_failed",
                actor=SYSTEM,
                message=f"A notice did not get out through {delivery.channel}: {error}",
                data={"channel": str(delivery.channel_id), "delivery": str(delivery.pk), "tries": delivery.attempts},
            )
