"""TLS to a destination: the certificates to trust, and what went wrong, in words."""

from __future__ import annotations

import socket
import ssl

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.core.errors import InputError
from logging_reports.forwarding.errors import ForwardingError
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.safe_text import visible

# The first that fits counts.
_EXPLANATIONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str | Promise, str | Promise], ...] = (
    (
        socket.gaierror,
        "name",
        gettext_lazy("The host name can't be looked up: %(reason)s."),
        gettext_lazy("Check the name, and the name server of this machine."),
    ),
    (
        ssl.SSLCertVerificationError,
        "certificate",
        gettext_lazy("The receiver's certificate is not accepted: %(reason)s."),
        gettext_lazy("Check its host name, its dates, and the CA certificates of this destination."),
    ),
    (
        TimeoutError,
        "time",
        gettext_lazy("The receiver did not answer in time or stopped accepting data."),
        gettext_lazy("Check that it runs and that its disk is not full."),
    ),
    (
        ConnectionRefusedError,
        "refused",
        gettext_lazy("The receiver refuses the connection."),
        gettext_lazy("Check that it runs and listens on this port."),
    ),
    (
        (ssl.SSLEOFError, ConnectionError),
        "broken",
        gettext_lazy("The receiver broke the connection off: %(reason)s."),
        gettext_lazy("What it may have lost is sent again."),
    ),
)


def make_context(destination: ForwardingDestination) -> ssl.SSLContext:
    """Return a context that trusts the destination's certificates, or this machine's. The host's name is always verified.

    Raises:
        ForwardingError: the certificates can't be read.

    """
    try:
        context = ssl.create_default_context(cadata=destination.ca_certificates or None)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise ForwardingError(
            _("The CA certificates can't be read."), _("Enter them again, in PEM form."), code="certificates"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python's contexts take the end of a connection for the receiver's close_notify, which confirms rows.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def explain(error: Exception) -> ForwardingError:
    """Return an error of the network or of TLS in words for the page."""
    if isinstance(error, InputError):
        return ForwardingError(error.what, error.remedy, code="address")
    if getattr(error, "reason", "") == "UNEXPECTED_EOF_WHILE_READING":
        error = ConnectionResetError(_("it ended without a close_notify"))
    for kind, code, what, remedy in _EXPLANATIONS:
        if isinstance(error, kind):
            return ForwardingError(str(what) % {"reason": _reason(error)}, str(remedy), retryable=True, code=code)
    return ForwardingError(_("The receiver can't be reached: %(reason)s.") % {"reason": _reason(error)}, retryable=True)


def _reason(error: Exception) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__
    return visible(text)[:160]
