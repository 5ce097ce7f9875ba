"""Makes the checkpoints of the log: the one place where the device and the log meet.

The log drafts and keeps (``logging_reports.checkpoints``), the device signs. Called by the scan;
any number of workers may try at once, one number is kept once.
"""

from __future__ import annotations

import logging

from hsm.device import get_device
from logging_reports import checkpoints
from logging_reports.anchors import Anchor
from logging_reports.models import LogCheckpoint

logger = logging.getLogger(__name__)


def make_if_due() -> LogCheckpoint | None:
    """Verify what is new in the log and let the device sign where it ends, if the time has come.

    A place where the log doesn't hold is logged, and the checkpoint stops short of it.

    Raises:
        DeviceError: the device can't sign; logging goes on, the checkpoint stays owed.

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
        # Process logs leave the machine by other ways than the database does: an anchor of its own.
        logger.info("checkpoint %s of the log: sha256:%s", made.number, made.hash)
    return made
