"""Why a sign-in at the identity provider comes to nothing: in few words for its user, in detail for the log."""

from __future__ import annotations

from django.utils.translation import gettext as _

from kmes.core import known_secrets
from kmes.core.errors import KmesError
from logging_reports.safe_text import visible

_MAX_DETAIL = 400


class SignOnRefused(KmesError):
    """A sign-in, or a message of the provider, is refused.

    Attributes:
        detail: what was wrong, in English, for the log. Holds no token and no secret.
        is_suspicious: whether somebody may have made it up; such ones count against their address.

    """

    code = "sign_on"
    is_suspicious = True

    def __init__(self, detail: str, what: str = "", remedy: str = "", *, retryable: bool = False) -> None:
        super().__init__(
            what or _("The identity provider's answer was not accepted."),
            remedy or _("Try again. If it fails again, tell an administrator: the Audit log says why."),
            retryable=retryable,
        )
        self.detail = visible(known_secrets.mask(detail))[:_MAX_DETAIL]


class ProviderUnreachable(SignOnRefused):
    """The provider did not answer, or not in a way that can be read."""

    is_suspicious = False

    def __init__(self, detail: str) -> None:
        super().__init__(
            detail,
            _("The identity provider can't be reached."),
            _("Try again in a minute. If it lasts, tell an administrator: the Audit log says why."),
            retryable=True,
        )


class ProviderFault(SignOnRefused):
    """What the provider publishes can't be used."""

    is_suspicious = False


class NotAllowed(SignOnRefused):
    """The provider refused the user, or proved somebody who may not sign in here."""

    is_suspicious = False


class NotAsSaved(SignOnRefused):
    """Settings or a link to a user are not as this console wrote them."""

    is_suspicious = False
