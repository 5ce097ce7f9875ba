"""Makes the checkpoints of the log: the only place where the device and the log meet.

The log drafts and stores them (``logging_reports.checkpoints``), the device signs. Called by the scan. Any number
of workers may try at once: each checkpoint number is stored once.
"""

from __future__ import annotations

import logging

from hsm.device import get_device
from logging_reports import checkpoints
from logging_reports.anchors import Anchor
from logging_reports.models import LogCheckpoint

logger = logging.getLogger(__name__)


def make_if_due() -> LogCheckpoint | None:
    """Verify the log's new rows and let the device sign their last position, if a checkpoint is due.

    A row that fails verification is logged, and the checkpoint ends before it.

    Raises:
        DeviceError: the device can't sign. Logging goes on, and the checkpoint stays due.

    """
    if not checkpoints.is_due():
        return None
    device = get_device()
    public_key = device.checkpoint_public_spki()
    draft = checkpoints.prepare(public_key)
    if draft is None:
        return None
    for service, found in draft.breaks:
        checkpoints.report_break(service, found)
    if not draft.text:
        return None
    signature = device.sign_checkpoint(draft.text.encode())
    made = checkpoints.store(Anchor(draft.text, signature, public_key))
    if made:
        # Process logs leave the machine by other ways than the database: this line is an anchor of its own.
        logger.info("checkpoint %s of the log: sha256:%s", made.number, made.hash)
    return made
