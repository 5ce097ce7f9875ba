"""Adds, proves and removes passkeys, each with its log row. Callers have the user's presence proven before a change."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from kmes.accounts.models import Passkey, User
from kmes.accounts.second_factor import seals
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor.passkeys import ceremonies, challenges, registered_keys
from kmes.accounts.second_factor.passkeys.ceremonies import Answer, NewCredential, RelyingParty
from kmes.accounts.second_factor.passkeys.challenges import Challenge
from kmes.accounts.second_factor.passkeys.public_keys import public_key_of
from kmes.accounts.second_factor.services import Factor, FactorRefused, Outcome
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError
from kmes.core.secret_types import SecretText
from logging_reports.services import record

# Of one user; browsers are told all of them.
MOST = 20
_HANDLE_BYTES = 32


@dataclass(frozen=True)
class Response:
    """An answer with what it is checked against."""

    party: RelyingParty
    challenge: Challenge
    answer: Answer


def list_passkeys(user: User) -> QuerySet[Passkey]:
    """Return a user's passkeys, the oldest first."""
    return Passkey.objects.filter(user=user)


def are_used(domain: str) -> bool:
    """Return whether anybody can sign in with a passkey in this domain."""
    return Passkey.objects.filter(domain=domain, user__is_active=True).exists()


def known_credentials(user: User, *, domain: str) -> list[bytes]:
    """Return the ids and public keys of a user's passkeys in a domain, without those whose seal does not open."""
    found = []
    for passkey in list_passkeys(user).filter(domain=domain):
        try:
            found.append(open_credential(passkey))
        except seals.SealError:
            continue
    return found


def handle_of(user: User) -> bytes:
    """Return what names a user to authenticators; a new one for a user without passkeys."""
    first = list_passkeys(user).first()
    return bytes(first.handle) if first else secrets.token_bytes(_HANDLE_BYTES)


def add(
    *,
    user: User,
    name: str,
    made: NewCredential,
    party: RelyingParty,
    challenge: Challenge,
    session_key: str,
    actor: Actor,
) -> list[SecretText]:
    """Add a passkey that an authenticator made. As first factor it ends other sessions and brings recovery codes.

    Raises:
        ConflictError: it was added already, or the user has as many as there may be.
        FactorRefused: the challenge was answered before.

    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if not challenges.use_up(challenge):
            raise _used()
        if list_passkeys(user).count() >= MOST:
            raise ConflictError(
                _("%(user)s has %(most)d passkeys already.") % {"user": user, "most": MOST}, _("Remove one first.")
            )
        if Passkey.objects.filter(digest=made.digest).exists():
            raise ConflictError(_("This passkey was added already."), _("Use another device."))
        Passkey.objects.create(
            user=user,
            name=name,
            digest=made.digest,
            sealed_credential=seals.seal(made.data, user_id=user.pk, purpose=_purpose(made.digest, party.domain)),
            handle=challenge.handle,
            domain=party.domain,
            sign_count=made.sign_count,
            is_synced=made.is_synced,
            added_at=now(),
        )
        return second_factor.complete_addition(
            user=user,
            factor=f"the passkey “{name}”",
            session_key=session_key,
            actor=actor,
            data=registered_keys.data_of(made.digest, public_key_of(made.data)),
        )


def prove(*, user: User, response: Response, address: str) -> Factor:
    """Check an answer as a user's second factor. Wrong ones count as wrong codes do.

    Raises:
        FactorRefused: it proves nothing, or there were too many failures.

    """

    def judge() -> Outcome:
        passkey = list_passkeys(user).filter(digest=response.answer.digest).first()
        if passkey is None:
            return Outcome(None, _("This passkey is not one of yours."), is_failure=True)
        return _judge(passkey, response)

    return second_factor.decide(user=user, address=address, judge=judge, field="passkey")


def sign_in(response: Response) -> User:
    """Return the user who has answered with a passkey, which counts as both factors.

    Raises:
        FactorRefused: nobody has.

    """
    refused = FactorRefused(_("This passkey is not valid here."), _("Sign in with your password."), field="passkey")
    found = Passkey.objects.filter(digest=response.answer.digest, user__is_active=True).first()
    if found is None or response.answer.handle is None:
        raise refused
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=found.user_id)
        # Read again: it may have been removed, and its user deactivated, while the lock was waited for.
        passkey = list_passkeys(user).filter(pk=found.pk).first()
        if passkey is None or not user.is_active:
            raise refused
        outcome = _judge(passkey, response)
    # After the commit, or the row of a copied passkey would be lost.
    if outcome.factor is None:
        raise FactorRefused(outcome.refusal, field="passkey")
    return user


def _judge(passkey: Passkey, response: Response) -> Outcome:
    answer = response.answer
    if passkey.domain != response.party.domain or answer.handle not in {None, bytes(passkey.handle)}:
        return Outcome(None, _("This passkey was not accepted."), is_failure=True)
    try:
        count = ceremonies.check_answer(
            response.party,
            response.challenge,
            answer,
            credential=open_credential(passkey),
            is_synced=passkey.is_synced,
        )
    except FactorRefused as error:
        return Outcome(None, str(error), is_failure=True)
    if not challenges.use_up(response.challenge):
        return Outcome(None, str(_used()), is_failure=True)
    # WebAuthn, level 3, section 7.2: a counter that does not go on tells of a copy; one that stays 0 is none.
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        message = f"The counter of the passkey “{passkey}” of {passkey.user} went back; a copy of it may exist"
        data = {"user_id": passkey.user_id, "passkey_id": passkey.pk, "count": count, "known": passkey.sign_count}
        record("access.passkey_cloned", actor=Actor.from_user(passkey.user), message=message, data=data)
        return Outcome(None, _("This passkey seems to exist twice. Remove it and add a new one."), is_failure=True)
    Passkey.objects.filter(pk=passkey.pk).update(sign_count=count, used_at=now())
    return Outcome(Factor.PASSKEY)


def remove(*, user: User, passkey: Passkey, actor: Actor) -> None:
    """Remove one of the user's own passkeys."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        list_passkeys(user).filter(pk=passkey.pk).delete()
        second_factor.complete_removal(
            user=user, factor=f"the passkey “{passkey}”", actor=actor, data={"passkey": passkey.digest}
        )


def _used() -> KmesError:
    return FactorRefused(_("This request for a passkey was answered before."), _("Try again."), field="passkey")


def open_credential(passkey: Passkey) -> bytes:
    """Return the id and public key of a passkey, as its authenticator gave them.

    Raises:
        SealError: its seal does not open.

    """
    purpose = _purpose(passkey.digest, passkey.domain)
    return seals.open_seal(bytes(passkey.sealed_credential), user_id=passkey.user_id, purpose=purpose)


def _purpose(digest: str, domain: str) -> str:
    return f"passkey:{digest}:{domain}"
