"""Which user an account at the provider is, and which role its groups give. Decided at each sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from kmes.accounts import sessions, withdrawal
from kmes.accounts.company_sign_on import seals
from kmes.accounts.company_sign_on.actor import PROVIDER
from kmes.accounts.company_sign_on.errors import NotAllowed
from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.company_sign_on.role_mapping import role_of
from kmes.accounts.delegation import lacked
from kmes.accounts.models import User
from kmes.accounts.rights import Role, rights_of
from kmes.accounts.roles.selectors import role_name
from kmes.accounts.selectors import find_namesake, other_active_admins
from kmes.core import language
from kmes.core.clock import now
from kmes.core.columns import cut, max_length
from kmes.core.typed_text import find_mixed_word
from logging_reports.choices import Severity
from logging_reports.services import record


@dataclass(frozen=True)
class _Outcome:
    user: User | None
    refusal: NotAllowed | None = None


def find_user(provider: SignOnProvider, proven: Proven) -> User:
    """Return the user of an account at the provider, with the role of its groups. The first sign-in makes the user.

    Raises:
        NotAllowed: there is no role for it, its user is deactivated, or its name is taken here.

    """
    try:
        with transaction.atomic():
            outcome = _decide(provider, proven)
    except IntegrityError:
        raise NotAllowed(f"{proven.subject} was added by two sign-ins at the same moment") from None
    # After the commit, or the sessions would stay.
    if outcome.user is None:
        raise outcome.refusal or NotAllowed("refused")
    return outcome.user


def linked_user(proven: Proven) -> User | None:
    """Return the user to whom a proven account belongs; None if it belongs to nobody."""
    return linked_subject(proven.issuer, proven.subject)


def linked_subject(issuer: str, subject: str) -> User | None:
    """Return the user to whom an account at the provider belongs; None if it belongs to nobody.

    Raises:
        NotAllowed: the link has no valid seal.

    """
    identity = SignOnIdentity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    if identity is None:
        return None
    seals.check_identity(identity)
    return identity.user


def _decide(provider: SignOnProvider, proven: Proven) -> _Outcome:
    # As each change of roles does: two may not take the last administrator away at once.
    list(User.objects.select_for_update().filter(role=Role.ADMIN).order_by("pk").values_list("pk", flat=True))
    role = role_of(provider, proven)
    user = linked_user(proven)
    if user is None:
        if not role:
            return _Outcome(None, _no_role(provider, proven))
        return _Outcome(_add(provider, proven, role))
    if not user.is_active:
        detail = f"{user} is deactivated here"
        return _Outcome(None, NotAllowed(detail, _("Your user is deactivated."), _("Ask an administrator.")))
    if not role:
        sessions.remove_begun_at_provider(user)
        return _Outcome(None, _no_role(provider, proven))
    if role != user.role:
        if user.role == Role.ADMIN and not other_active_admins(user).exists():
            what, remedy = _("You are the last administrator."), _("Make somebody else an administrator first.")
            detail = f"{user} is the last administrator here, and the provider's groups give another role"
            return _Outcome(None, NotAllowed(detail, what, remedy))
        _change_role(user, role)
    SignOnIdentity.objects.filter(issuer=proven.issuer, subject=proven.subject).update(used_at=now())
    return _Outcome(user)


def _no_role(provider: SignOnProvider, proven: Proven) -> NotAllowed:
    groups = proven.texts(provider.groups_claim)
    detail = (
        f"no role for {proven.text(provider.username_claim) or proven.subject}, whose {len(groups)} groups match none"
    )
    if not groups:
        detail = f"no role: neither the ID token nor UserInfo has a claim {provider.groups_claim!r}"
    return NotAllowed(
        detail, _("Your account may not use this console."), _("Ask an administrator to add it to a group that may.")
    )


def _change_role(user: User, role: str) -> None:
    changes = {"role": [user.role, role]}
    with language.of_records():
        before, after = role_name(user.role), role_name(role)
    User.objects.filter(pk=user.pk).update(role=role)
    withdrawal.end(user, role=role, actor=PROVIDER)
    user.role = role
    record(
        "user.updated",
        actor=PROVIDER,
        severity=Severity.WARNING,
        message=f"Role of {user} changed from {before} to {after} by company sign-on",
        data={"user_id": user.pk, "changes": changes, "role_names": [before, after]},
    )


def _add(provider: SignOnProvider, proven: Proven, role: str) -> User:
    name = User.normalize_username(proven.text(provider.username_claim))
    try:
        UnicodeUsernameValidator()(name)
        fits = len(name) <= (max_length(User, "username") or 0)
    except ValidationError:
        fits = False
    if not fits or find_mixed_word(name):
        raise NotAllowed(f"the claim {provider.username_claim!r} holds no user name: {name[:100]!r}")
    taken = find_namesake(name)
    user = _make(name, proven, role) if taken is None else _link(provider, proven, taken.pk, role)
    identity = SignOnIdentity(user=user, issuer=proven.issuer, subject=proven.subject, added_at=now(), used_at=now())
    identity.seal = seals.seal_identity(identity)
    identity.save(force_insert=True)
    return user


def _make(name: str, proven: Proven, role: str) -> User:
    mail = proven.text("email") if proven.claims.get("email_verified") is True else ""
    try:
        validate_email(mail)
    except ValidationError:
        mail = ""
    user = User(
        username=name,
        role=role,
        first_name=cut(User, "first_name", proven.text("given_name")),
        last_name=cut(User, "last_name", proven.text("family_name")),
        email=mail if len(mail) <= (max_length(User, "email") or 0) else "",
    )
    user.set_unusable_password()
    user.save(force_insert=True)
    with language.of_records():
        called = role_name(role)
    record(
        "user.created",
        actor=PROVIDER,
        message=f"User {user} created by company sign-on as {called}",
        data={
            "user_id": user.pk,
            "role": role,
            "role_name": called,
            "issuer": proven.issuer,
            "subject": proven.subject,
        },
    )
    return user


def why_not_link(provider: SignOnProvider, user: User, *, name: str, role: str) -> str:
    """Return why the user of about this name does not become the account at the provider, "" if it does."""
    if not provider.may_link or not user.is_active or SignOnIdentity.objects.filter(user=user).exists():
        return "who is not this account"
    # Some letters have the same capital, and are not the same.
    if user.username.lower() != name.lower():
        return "whose name is not quite the same"
    # Whoever chooses the name of an administrator at the provider would take that account away.
    if missing := lacked(rights_of(role), user.widest_rights):
        return f"who has rights that the groups do not give: {missing}"
    return ""


def _link(provider: SignOnProvider, proven: Proven, user_id: int, role: str) -> User:
    """Link the user of the same name, where the settings allow it."""
    user = User.objects.select_for_update().get(pk=user_id)
    name = User.normalize_username(proven.text(provider.username_claim))
    if why_not := why_not_link(provider, user, name=name, role=role):
        raise NotAllowed(
            f"there is a user “{user}” here already, {why_not} ({proven.subject})",
            _("There is a user of your name here already, who is not linked to your company account."),
            _("Ask an administrator."),
        )
    record(
        "user.linked",
        actor=PROVIDER,
        message=f"User {user} linked to an account at the identity provider",
        data={"user_id": user.pk, "issuer": proven.issuer, "subject": proven.subject},
    )
    if role != user.role:
        _change_role(user, role)
    return user
