"""Changes of the settings of company sign-on, each with its log row."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.accounts.company_sign_on import documents, seals
from kmes.accounts.company_sign_on.errors import NotAsSaved
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.role_mapping import may_be_without_group, names_of
from kmes.accounts.delegation import begin_change, check_covers
from kmes.accounts.rights import Right, Role, rights_of
from kmes.accounts.roles.selectors import is_role
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.secret_types import SecretText
from logging_reports.services import record


@dataclass(frozen=True, kw_only=True)
class ProviderValues:
    """The settings as they are entered, without the client secret."""

    name: str
    issuer: str
    client_id: str
    scopes: str
    username_claim: str
    groups_claim: str
    group_roles: dict[str, str] = field(default_factory=dict)
    unmatched_role: str = ""
    may_link: bool = False
    factor_values: list[str] = field(default_factory=list)
    are_local_for_emergencies: bool = False
    signs_out_there: bool = False
    is_enabled: bool = False


def save(values: ProviderValues, secret: SecretText, *, actor: Actor) -> None:
    """Save the settings. An empty secret keeps the present one, for the same client of the same issuer.

    Raises:
        PermissionRefused: the actor may not manage users, or lacks a right: the settings say who gets which role.
        InputError: a secret is needed.

    """
    with transaction.atomic():
        held = begin_change(actor, Right.USER_MANAGE)
        check_covers(held, frozenset(Right), of=str(Role.ADMIN.label), actor=actor)
        provider = SignOnProvider.objects.select_for_update().filter(pk=SignOnProvider.ONLY).first()
        _check_roles(values)
        before = {} if provider is None else {name: getattr(provider, name) for name in seals.COLUMNS}
        kept = secret or _present_secret(provider, values)
        require_approval("sign_on.save", {**asdict(values), "has_secret": bool(secret)}, actor=actor)
        provider = provider or SignOnProvider()
        for name, value in asdict(values).items():
            setattr(provider, name, value)
        provider.changed_at, provider.sealed = now(), seals.seal_provider(provider, kept)
        provider.save()
        changes = {
            name: [before.get(name), value] for name, value in asdict(values).items() if before.get(name) != value
        }
        if changes or secret:
            named = ", ".join([*changes, *(["client secret"] if secret else [])])
            record(
                "access.sign_on_changed",
                actor=actor,
                message=f"Company sign-on changed: {named}",
                data={
                    "changes": changes,
                    "is_secret_new": bool(secret),
                    "role_names": names_of({*values.group_roles.values(), values.unmatched_role}),
                },
            )
    documents.forget()


def log_trial(text: str, *, actor: Actor, data: dict[str, Any] | None = None) -> None:
    """Log that an administrator tried the settings, and what came of it."""
    record("access.sign_on_tested", actor=actor, message=f"Test of company sign-on: {text}", data=data)


def _check_roles(values: ProviderValues) -> None:
    """Check the roles that are mapped, while no role can be changed.

    Raises:
        InputError: one was deleted, or the one without a group has rights that only administrators have.

    """
    if not all(map(is_role, {*values.group_roles.values(), values.unmatched_role} - {""})):
        raise InputError(_("A role was deleted meanwhile."), _("Reload the page."))
    if values.unmatched_role and not may_be_without_group(rights_of(values.unmatched_role)):
        raise InputError(
            _("Users in no group can't get a role with rights that only administrators have."),
            _("Choose another role, or name a group."),
            field="unmatched_role",
        )


def _present_secret(provider: SignOnProvider | None, values: ProviderValues) -> SecretText:
    if provider is None:
        raise InputError(_("A client secret is needed."), _("The provider shows it once."), field="client_secret")
    if (provider.issuer, provider.client_id) != (values.issuer, values.client_id):
        raise InputError(
            _("The client secret was given for another issuer or client."), _("Enter it again."), field="client_secret"
        )
    try:
        return seals.open_provider(provider)
    except NotAsSaved:
        raise InputError(
            _("The stored settings can't be trusted: their seal does not hold."),
            _("Check all fields, and enter the client secret again."),
            field="client_secret",
        ) from None
