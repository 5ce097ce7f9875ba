"""The changes of users and roles that an approval policy can be about: what they do, in words, and how they are applied."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.accounts import services
from kmes.accounts.assignments.selectors import list_scoped_roles
from kmes.accounts.company_sign_on import guarded_changes as sign_on
from kmes.accounts.delegation import begin_change
from kmes.accounts.models import CustomRole, RoleAssignment, User
from kmes.accounts.rights import Right, rights_of
from kmes.accounts.roles import services as roles
from kmes.accounts.roles.selectors import role_name, users_with
from kmes.accounts.user_confirmations import CONFIRMATIONS, Confirmation, password_effects
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, register
from kmes.core.right_names import name_rights
from kmes.core.secret_types import SecretText

# Actions that a policy can be about; kinds of jobs have the same names (``jobs.kinds.apply_change``).
USERS, ROLES = "change_users", "change_roles"
_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operations."""
    sign_on.register_all(USERS)
    register(
        of_users(name="user.create", describe=_describe_new_user, apply=_create_user),
        of_users(name="user.update", describe=_describe_update, apply=_update_user),
        *(
            of_users(name=f"user.{act}", describe=partial(_describe_act, asked), apply=partial(_apply_act, asked))
            for act, asked in CONFIRMATIONS.items()
            if asked.approved_effects is not None
        ),
        _of_roles(name="role.create", describe=_describe_new_role, apply=_create_role),
        _of_roles(name="role.update", describe=_describe_role, apply=_update_role),
    )


def _lock_users(_values: _Values, actor: Actor) -> None:
    """Lock what plans about users are made from.

    Raises:
        PermissionRefused: the actor may not change users.

    """
    begin_change(actor, Right.USER_MANAGE)


def _lock_roles(_values: _Values, actor: Actor) -> None:
    begin_change(actor, Right.ROLE_MANAGE)


# The operations of each policy have its action and lock the same rows.
of_users = partial(Operation, action=USERS, lock=_lock_users)
_of_roles = partial(Operation, action=ROLES, lock=_lock_roles)


# --- Users -----------------------------------------------------------------------------------
def find_user(values: _Values) -> User:
    """Return the user that a change is about.

    Raises:
        ConflictError: the user is gone.

    """
    found = User.objects.filter(pk=values["user"]).first()
    if found is None:
        raise ConflictError(_("The user is gone."))
    return found


def _role_facts(role: str) -> list[tuple[str, str]]:
    """Return a role with its rights: a role that gets another right meanwhile is another plan."""
    return [(_("Role"), role_name(role)), (_("Rights of the role"), name_rights(rights_of(role)))]


def scoped_role_facts(user: User) -> list[tuple[str, str]]:
    """Return each role that a user has for a scope, with its rights there. One that is given meanwhile is another plan."""
    given = list(RoleAssignment.objects.filter(user=user).order_by("role", "scope_kind", "scope_value"))
    return [(_("Role for a scope"), f"{each.role}: {each.scope} ({each.rights})") for each in list_scoped_roles(given)]


def _describe_new_user(values: _Values) -> Description:
    return Description(
        subject=values["username"],
        title=_("Add the user %(name)s") % {"name": values["username"]},
        back=reverse("accounts:users"),
        facts=[
            (_("User name"), values["username"]),
            *_role_facts(values["role"]),
            (_("Name"), f"{values['first_name']} {values['last_name']}".strip() or "–"),
            (_("E-mail"), values["email"] or "–"),
        ],
        effects=password_effects(),
    )


def _describe_update(values: _Values) -> Description:
    user = find_user(values)
    facts = [(_("User"), user.username), (_("State"), state_of(user))]
    labels = {"first_name": _("First name"), "last_name": _("Last name"), "email": _("E-mail")}
    for name, label in labels.items():
        before = getattr(user, name)
        if before != values[name]:
            facts.append((label, f"{before or '–'} → {values[name] or '–'}"))
    before, after = rights_of(user.role), rights_of(values["role"])
    facts += scoped_role_facts(user)
    facts += [
        (_("Role"), f"{role_name(user.role)} → {role_name(values['role'])}"),
        (_("Gains the rights"), name_rights(after - before)),
        (_("Loses the rights"), name_rights(before - after)),
    ]
    return Description(
        subject=user.username,
        title=_("Change the role of %(name)s") % {"name": user.username},
        back=user.get_absolute_url(),
        facts=facts,
        effects=[_("The role counts at once.")],
    )


def _describe_act(asked: Confirmation, values: _Values) -> Description:
    user = find_user(values)
    return Description(
        subject=user.username,
        title=asked.title % {"name": user.username},
        back=user.get_absolute_url(),
        facts=[
            (_("User"), user.username),
            (_("State"), state_of(user)),
            *_role_facts(user.role),
            *scoped_role_facts(user),
        ],
        effects=asked.approved_effects() if asked.approved_effects is not None else [],
    )


def state_of(user: User) -> str:
    """Return in a word whether a user may sign in."""
    return _("active") if user.is_active else _("deactivated")


def _show_password(user: User, password: SecretText) -> Applied:
    return Applied(
        message="",
        page=user.get_absolute_url(),
        template="accounts/one_time_password.html",
        context={"shown_user": user, "password": password.reveal()},
    )


def _user_values(values: _Values) -> services.UserValues:
    return services.UserValues(values["role"], values["first_name"], values["last_name"], values["email"])


def _create_user(values: _Values, actor: Actor) -> Applied:
    return _show_password(*services.create_user(username=values["username"], values=_user_values(values), actor=actor))


def _update_user(values: _Values, actor: Actor) -> Applied:
    user = find_user(values)
    services.update_user(user=user, values=_user_values(values), actor=actor)
    return Applied(message=_("%(user)s is saved.") % {"user": user}, page=user.get_absolute_url())


def _apply_act(asked: Confirmation, values: _Values, actor: Actor) -> Applied:
    user = find_user(values)
    password = asked.service(user=user, actor=actor)
    if password is None:
        return Applied(message=asked.done % {"name": user.username}, page=user.get_absolute_url())
    user.refresh_from_db()
    return _show_password(user, password)


# --- Roles -----------------------------------------------------------------------------------
def _role_values(values: _Values) -> roles.RoleValues:
    rights = frozenset(Right(each) for each in values["rights"])
    return roles.RoleValues(values["name"], values["description"], rights, values["needs_second_factor"])


def _describe_new_role(values: _Values) -> Description:
    return Description(
        subject=values["name"],
        title=_("Add the role “%(name)s”") % {"name": values["name"]},
        back=reverse("accounts:roles"),
        facts=[
            (_("Role"), values["name"]),
            (_("Description"), values["description"] or "–"),
            (_("Rights"), name_rights(values["rights"])),
            (_("Needs a second factor"), _yes_no(values["needs_second_factor"])),
        ],
    )


def _describe_role(values: _Values) -> Description:
    role = CustomRole.objects.filter(code=values["code"]).first()
    if role is None:
        raise ConflictError(_("The role was deleted meanwhile."))
    after = _role_values(values)
    facts = [(_("Role"), role.name)]
    if role.name != after.name:
        facts.append((_("Name"), f"{role.name} → {after.name}"))
    if role.description != after.description:
        facts.append((_("Description"), f"{role.description or '–'} → {after.description or '–'}"))
    facts += [
        (_("Rights"), name_rights(role.held)),
        (_("Gains the rights"), name_rights(after.rights - role.held)),
        (_("Loses the rights"), name_rights(role.held - after.rights)),
        (
            _("Needs a second factor"),
            f"{_yes_no(role.needs_second_factor)} → {_yes_no(after.needs_second_factor)}",
        ),
        (
            _("Users with the role"),
            ", ".join(users_with(role.code).order_by("username").values_list("username", flat=True)) or "–",
        ),
    ]
    return Description(
        subject=role.name,
        title=_("Change the role “%(name)s”") % {"name": role.name},
        back=reverse("accounts:role", args=[role.code]),
        facts=facts,
        effects=[_("It counts at once for all who have the role.")],
    )


def _yes_no(is_so: object) -> str:
    return _("yes") if is_so else _("no")


def _create_role(values: _Values, actor: Actor) -> Applied:
    made = roles.create_role(values=_role_values(values), actor=actor, copied_from=values["copied_from"])
    message = _("The role %(role)s is added. Give it to users next.") % {"role": made}
    return Applied(message=message, page=reverse("accounts:role", args=[made.code]))


def _update_role(values: _Values, actor: Actor) -> Applied:
    changed = roles.update_role(
        code=values["code"], values=_role_values(values), lock_version=values["lock_version"], actor=actor
    )
    return Applied(
        message=_("The role %(role)s is saved.") % {"role": changed}, page=reverse("accounts:role", args=[changed.code])
    )
