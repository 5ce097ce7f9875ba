"""What is asked before somebody acts on another user's account, and what then does it: one table for pages and requests.

The services check again what the pages show. Makes no response.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts import actions, services, withdrawal
from kmes.accounts.company_sign_on import unlinking
from kmes.accounts.company_sign_on.selectors import active_provider, find_identity
from kmes.accounts.models import User
from kmes.accounts.second_factor import services as second_factor
from kmes.core.actor import Actor
from kmes.core.secret_types import SecretText


class Service(Protocol):
    """Acts on a user's account; returns the one-time password, where it makes one."""

    def __call__(self, *, user: User, actor: Actor) -> SecretText | None:
        """Act, or raise why not."""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """An act on a user's account. Its texts take ``name``, the user's, and ``role``, the name of their role.

    Attributes:
        title: also of the request for approval.
        text: what the act brings.
        done: the message after it; "" where a one-time password is shown instead.
        service: does it.
        why_not: says why the viewer can't do it, without a full stop; "" when they can.
        ends: what else it brings for this user, in sentences.
        approved_effects: what a request for approval says that it brings; None where no policy can ask for approvals.

    """

    title: str | Promise
    text: str | Promise
    button: str | Promise
    busy: str | Promise
    done: str | Promise = ""
    service: Service
    why_not: Callable[[User], str]
    ends: Callable[[User], list[str]] = lambda _user: []
    approved_effects: Callable[[], list[str]] | None = None
    is_danger: bool = True


def password_effects() -> list[str]:
    """Return what a request says that makes a one-time password."""
    return [_("A one-time password is made when the requester applies the change, and shown to the requester once.")]


def _unlinking_ends(user: User) -> list[str]:
    provider = active_provider()
    ends = [] if user.has_usable_password() else [_("The user has no password of this console.")]
    if provider is None or not provider.may_link:
        ends.append(_("Existing users are not linked by name: turn that on in Company sign-on for the change-over."))
    return ends


def _why_not_reset_factor(user: User) -> str:
    return actions.why_not_reset_factor(user) or (
        "" if second_factor.has_factor(user) else _("There is no second factor")
    )


def _why_not_unlink(user: User) -> str:
    return actions.why_not_unlink(user) or ("" if find_identity(user) is not None else _("There is no company account"))


# By the name that addresses, operations and requests have for the act.
CONFIRMATIONS = {
    "deactivate": Confirmation(
        title=gettext_lazy("Deactivate %(name)s"),
        text=gettext_lazy(
            "%(name)s is signed out at once and can't sign in any more. What %(name)s did stays in the log. "
            "The user can be reactivated."
        ),
        button=gettext_lazy("Deactivate user"),
        busy=gettext_lazy("Deactivating…"),
        done=gettext_lazy("%(name)s is deactivated."),
        service=services.deactivate_user,
        why_not=actions.why_not_deactivate,
        ends=withdrawal.describe,
    ),
    "reactivate": Confirmation(
        title=gettext_lazy("Reactivate %(name)s"),
        text=gettext_lazy(
            "%(name)s can sign in again, as %(role)s, with a one-time password that is shown once. "
            "The former password no longer works."
        ),
        button=gettext_lazy("Reactivate user"),
        busy=gettext_lazy("Reactivating…"),
        service=services.reactivate_user,
        why_not=actions.why_not_reactivate,
        approved_effects=password_effects,
        is_danger=False,
    ),
    "reset_password": Confirmation(
        title=gettext_lazy("Reset the password of %(name)s"),
        text=gettext_lazy(
            "%(name)s gets a one-time password that is shown once, and has to replace it at the next sign-in. "
            "The current password no longer works, and all sessions of %(name)s end."
        ),
        button=gettext_lazy("Reset password"),
        busy=gettext_lazy("Resetting…"),
        service=services.reset_password,
        why_not=actions.why_not_reset_password,
        approved_effects=password_effects,
        is_danger=False,
    ),
    "reset_factor": Confirmation(
        title=gettext_lazy("Reset the second factor of %(name)s"),
        text=gettext_lazy(
            "Make sure that it is %(name)s who asks for this. %(name)s can then sign in with the password alone and set up "
            "a second factor again; the recovery codes no longer work, and all sessions of %(name)s end."
        ),
        button=gettext_lazy("Reset second factor"),
        busy=gettext_lazy("Resetting…"),
        done=gettext_lazy("The second factor of %(name)s is reset."),
        service=second_factor.reset,
        why_not=_why_not_reset_factor,
        approved_effects=lambda: [
            _("The user then signs in with the password alone, and all sessions of the user end.")
        ],
    ),
    "unlink": Confirmation(
        title=gettext_lazy("Unlink %(name)s from company sign-on"),
        text=gettext_lazy(
            "The company account is no longer that of %(name)s, and the sessions that began at the provider end. An account "
            "of the same name at the provider is linked at its next sign-in, if linking is on and its groups give every "
            "right that %(name)s has."
        ),
        button=gettext_lazy("Unlink company sign-on"),
        busy=gettext_lazy("Unlinking…"),
        done=gettext_lazy("%(name)s is unlinked from the company account."),
        service=unlinking.unlink,
        why_not=_why_not_unlink,
        ends=_unlinking_ends,
        approved_effects=lambda: [
            _("Another account with the same name can then be linked. Sessions that began at the provider end.")
        ],
    ),
}
