"""The error of a delivery."""

from __future__ import annotations

from kmes.core.errors import KmesError


class DeliveryError(KmesError):
    """A notice was not delivered. ``retryable`` says whether another try may help."""

    code = "delivery"
