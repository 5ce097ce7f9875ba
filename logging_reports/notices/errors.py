"""The one error of sending."""

from __future__ import annotations

from kmes.core.errors import KmesError


class DeliveryError(KmesError):
    """A notice did not arrive; ``retryable`` says whether another try may help."""

    code = "delivery"
