"""Which role the settings give to the groups of an account: a built-in role or an added one, named by its code."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.company_sign_on.selectors import find_provider
from kmes.accounts.models import CustomRole
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role, known_rights
from kmes.accounts.roles.selectors import role_name

# What a role without a group may hold: rights of administrators alone come from a group only, in whichever role.
_WITHOUT_GROUP = frozenset[Right]().union(*(held for role, held in ROLE_RIGHTS.items() if role != Role.ADMIN))
_SHOWN = 5


def role_of(provider: SignOnProvider, proven: Proven) -> str:
    """Return the role that the provider's settings give to these groups; "" for none.

    Of several the one with the most rights counts. A role that was deleted or gained too much gives nothing.
    """
    mapped: dict[str, str] = provider.group_roles
    groups = proven.texts(provider.groups_claim)
    held = _rights_of({*(mapped[group] for group in groups if group in mapped), provider.unmatched_role})
    given = [mapped[group] for group in groups if mapped.get(group) in held]
    if given:
        return max(given, key=lambda code: (len(held[code]), code in ROLE_RIGHTS, code))
    unmatched: str = provider.unmatched_role
    return unmatched if unmatched in held and may_be_without_group(held[unmatched]) else ""


def may_be_without_group(rights: frozenset[Right]) -> bool:
    """Return whether users in none of the groups may get a role with these rights."""
    return rights <= _WITHOUT_GROUP


def find_uses(code: str) -> list[str]:
    """Return in sentences what company sign-on says of a role."""
    provider = find_provider()
    if provider is None:
        return []
    found = []
    if groups := sorted(group for group, given in provider.group_roles.items() if given == code):
        named = ", ".join(f"“{group[:64]}”" for group in groups[:_SHOWN])
        more = f" (+{len(groups) - _SHOWN})" if len(groups) > _SHOWN else ""
        text = ngettext(
            "Company sign-on gives it to the group %(groups)s.",
            "Company sign-on gives it to the groups %(groups)s.",
            len(groups),
        )
        found.append(text % {"groups": named + more})
    if provider.unmatched_role == code:
        found.append(_("Company sign-on gives it to users in none of its groups."))
    return found


def names_of(codes: set[str]) -> dict[str, str]:
    """Return the names of roles by code, for a log row."""
    return {code: role_name(code) for code in sorted(codes - {""})}


def _rights_of(codes: set[str]) -> dict[str, frozenset[Right]]:
    """Return the rights of those roles that exist, by code."""
    added = CustomRole.objects.filter(code__in=codes).values_list("code", "rights")
    found = {code: rights for code, rights in ROLE_RIGHTS.items() if code in codes}
    return found | {code: known_rights(rights) for code, rights in added}
