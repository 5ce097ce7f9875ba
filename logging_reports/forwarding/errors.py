"""The error of a transport."""

from __future__ import annotations

from kmes.core.errors import KmesError


class ForwardingError(KmesError):
    """The destination did not take the rows. The text says why, in words for the page."""

    code = "forwarding"
