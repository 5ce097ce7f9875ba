"""Proves, adds, removes and resets second factors. Each with its log row.

The limits and what was used are rows, which every process sees. A proof locks the user's row first: of two that try
one code at the same moment, one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from kmes.accounts import sessions
from kmes.accounts.delegation import begin_change, check_covers_user
from kmes.accounts.dual_login.models import SecondSignIn
from kmes.accounts.models import AuthenticatorApp, CustomRole, FactorFailure, Passkey, RecoveryCode, User
from kmes.accounts.rights import ROLE_RIGHTS, Right
from kmes.accounts.second_factor import recovery_codes, seals, totp
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.secret_types import SecretText
from logging_reports.services import record

# Failures of one user within these times, from any address: whoever gets so far knows the password.
LIMITS = ((5, timedelta(minutes=15)), (20, timedelta(hours=24)))


class Factor(StrEnum):
    """What was proven. Log rows hold the values."""

    APP = "authenticator app"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery code"
    COMPANY = "company sign-on"


class FactorRefused(InputError):
    """The code that was entered, or the passkey that answered, proves nothing."""

    code = "second_factor"


@dataclass(frozen=True)
class Outcome:
    """What a code or an answer proves; without a factor why it proves none, and whether it counts as a failure."""

    factor: Factor | None
    refusal: str = ""
    is_failure: bool = False


def has_factor(user: User) -> bool:
    """Return whether a sign-in of this user asks for a second factor. One query."""
    return User.objects.filter(_has_factor(), pk=user.pk).exists()


def with_factor(users: QuerySet[User]) -> QuerySet[Any, Any]:
    """Return users, each with ``has_factor``."""
    return users.annotate(has_factor=_has_factor())


def _has_factor() -> Q:
    """Return the expression that says whether a user has an app or a passkey."""
    factors = (model.objects.filter(user=OuterRef("pk")) for model in (AuthenticatorApp, Passkey))
    app, passkey = map(Exists, factors)
    return app | passkey


def has_app(user: User) -> bool:
    """Return whether the user has an authenticator app."""
    return AuthenticatorApp.objects.filter(user=user).exists()


def is_required(user: User) -> bool:
    """Return whether the installation, or the role itself, demands a second factor of this user."""
    if user.role_codes & set(settings.KMES_SECOND_FACTOR_ROLES):
        return True
    role = user.custom_role()
    if role is not None and (role.needs_second_factor or is_demanded_with(role.held)):
        return True
    # A role for a scope demands what it demands everywhere.
    codes = {each.role for each in user.scoped_roles}
    rows = CustomRole.objects.filter(code__in=codes) if codes else ()
    return any(each.needs_second_factor or is_demanded_with(each.held) for each in rows)


def is_demanded_with(rights: frozenset[Right]) -> bool:
    """Return whether the installation demands a second factor with such rights, in whichever role.

    It does if one of them belongs to no built-in role but those of KMES_SECOND_FACTOR_ROLES: a copy of a role must not
    get round that.
    """
    demanded = settings.KMES_SECOND_FACTOR_ROLES
    free = frozenset[Right]().union(*(held for role, held in ROLE_RIGHTS.items() if role not in demanded))
    return bool(rights - free)


def prove(*, user: User, code: str, address: str) -> Factor:
    """Check a code of the app, or a recovery code, and use it up. Return which of them it was.

    Raises:
        FactorRefused: it is wrong or was used before, or there were too many failures.
        SealError: the app's seed can't be opened.

    """
    return decide(user=user, address=address, judge=lambda: _judge(user, code), field="code")


def decide(*, user: User, address: str, judge: Callable[[], Outcome], field: str) -> Factor:
    """Have a proof judged while the user's row is locked, and count and log what came of it. Return what was proven.

    Raises:
        FactorRefused: nothing was, or there were too many failures; it belongs to the field.

    """
    actor = Actor.from_user(user)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if _is_over(user):
            text = _("Too many wrong codes. Wait, or have an administrator reset the second factor.")
            outcome = Outcome(None, text)
        else:
            outcome = judge()
        if outcome.is_failure:
            FactorFailure.objects.create(user=user, at=now(), address=address)
            record("access.factor_failed", actor=actor, data={"address": address})
            if _is_over(user):
                message = f"Second factor of {user} is locked after too many wrong codes; the password was right"
                record("access.factor_locked", actor=actor, message=message, data={"address": address})
        elif outcome.factor is not None:
            # Not the late ones from elsewhere: whoever guesses would get new tries with each proof of the user.
            counted_from = now() - max(time for _most, time in LIMITS)
            FactorFailure.objects.filter(Q(address=address) | Q(at__lt=counted_from), user=user).delete()
            if outcome.factor is Factor.RECOVERY_CODE:
                message = f"Recovery code of {user} used; {recovery_codes.left(user)} left"
                record("access.recovery_code_used", actor=actor, message=message, data={"address": address})
    # After the commit, or the failure would not be counted.
    if outcome.factor is None:
        raise FactorRefused(outcome.refusal, field=field)
    return outcome.factor


def _judge(user: User, code: str) -> Outcome:
    digits = code.replace(" ", "")
    app = AuthenticatorApp.objects.filter(user=user).first()
    if app is not None and digits.isascii() and digits.isdecimal() and len(digits) == totp.DIGITS:
        step = totp.matching_step(seals.open_seal(bytes(app.sealed_seed), user_id=user.pk), digits, at=now())
        if step is not None and step > app.last_step:
            AuthenticatorApp.objects.filter(pk=app.pk).update(last_step=step, used_at=now())
            return Outcome(Factor.APP)
        if step is not None:
            return Outcome(None, _("This code was used before. Wait for the next one in the app."), is_failure=True)
    elif recovery_codes.use(user, code):
        return Outcome(Factor.RECOVERY_CODE)
    return Outcome(None, _("This code is wrong, or its time is over."), is_failure=True)


def _is_over(user: User) -> bool:
    failures = FactorFailure.objects.filter(user=user)
    return any(failures.filter(at__gt=now() - time).count() >= most for most, time in LIMITS)


def add_app(*, user: User, seed: bytes, code: str, session_key: str, actor: Actor) -> list[SecretText]:
    """Add an authenticator app that shows this code. As first factor it ends other sessions and brings recovery codes.

    Raises:
        ConflictError: the user has one.
        FactorRefused: the code is not that of the seed.

    """
    step = totp.matching_step(seed, code.replace(" ", ""), at=now())
    if step is None:
        raise FactorRefused(
            _("This code is wrong, or its time is over."),
            _("Check the clock of the device with the app."),
            field="code",
        )
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if has_app(user):
            raise ConflictError(_("%(user)s has an authenticator app already.") % {"user": user}, _("Remove it first."))
        # The code that was entered here opens nothing later.
        AuthenticatorApp.objects.create(
            user=user, sealed_seed=seals.seal(seed, user_id=user.pk), added_at=now(), last_step=step
        )
        return complete_addition(user=user, factor="an authenticator app", session_key=session_key, actor=actor)


def complete_addition(
    *, user: User, factor: str, session_key: str, actor: Actor, data: dict[str, str] | None = None
) -> list[SecretText]:
    """Log that a factor was added, with what names it. Return recovery codes with the first one, else none.

    Sessions that began without a factor end, except the one that added it. Call in the transaction of the change.
    """
    is_first = not RecoveryCode.objects.filter(user=user).exists()
    codes = recovery_codes.make(user) if is_first else []
    if is_first:
        sessions.remove_all(user, kept_key=session_key)
    told = {"user_id": user.pk, **(data or {})}
    record("user.factor_added", actor=actor, message=f"{user} added {factor}", data=told)
    return codes


def replace_recovery_codes(*, user: User, actor: Actor) -> list[SecretText]:
    """Give a user new recovery codes; the former ones open nothing. The caller has had a factor proven."""
    with transaction.atomic():
        codes = recovery_codes.make(user)
        message = f"{user} made new recovery codes"
        record("user.recovery_codes_made", actor=actor, message=message, data={"user_id": user.pk})
    return codes


def remove_own_app(*, user: User, actor: Actor) -> None:
    """Remove a user's own authenticator app. The caller has had a factor proven."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        AuthenticatorApp.objects.filter(user=user).delete()
        complete_removal(user=user, factor="the authenticator app", actor=actor)


def complete_removal(*, user: User, factor: str, actor: Actor, data: dict[str, str] | None = None) -> None:
    """Log that a factor was removed; with the last one recovery codes go. Call in the transaction of the change."""
    if not has_factor(user):
        _remove(user)
    told = {"user_id": user.pk, **(data or {})}
    record("user.factor_removed", actor=actor, message=f"{user} removed {factor}", data=told)


def reset(*, user: User, actor: Actor) -> None:
    """Remove another user's second factor, who lost it, and end that user's sessions.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one.
        ConflictError: it is the actor's own, or there is none.

    """
    with transaction.atomic():
        held = begin_change(actor, Right.USER_MANAGE)
        if user.pk == actor.user_id:
            raise ConflictError(_("Your own second factor is removed on your profile page."))
        check_covers_user(held, User.objects.get(pk=user.pk), actor=actor)
        if not has_factor(user):
            raise ConflictError(_("%(user)s has no second factor.") % {"user": user}, _("Reload the page."))
        require_approval("user.reset_factor", {"user": user.pk}, actor=actor)
        _remove(user)
        sessions.remove_all(user)
        message = f"Second factor of {user} reset; sessions ended"
        record("user.factor_reset", actor=actor, message=message, data={"user_id": user.pk})


def _remove(user: User) -> None:
    for model in (AuthenticatorApp, Passkey, RecoveryCode, FactorFailure):
        model.objects.filter(user=user).delete()
    # What was vouched for with the factor ends with it.
    SecondSignIn.objects.filter(second=user).delete()
