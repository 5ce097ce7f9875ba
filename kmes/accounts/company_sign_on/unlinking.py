"""Takes a user's link to an account at the identity provider away, after a change of the issuer or of the account."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.accounts import sessions
from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.delegation import begin_change, check_covers_user
from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import record


def unlink(*, user: User, actor: Actor) -> None:
    """Remove all links of another user, and end the sessions that began at the provider.

    Whoever signs in there next under the user's name is linked only as the settings and the groups allow
    (``identities.why_not_link``): this gives nobody a right.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one.
        ConflictError: it is the actor, or there is no link.

    """
    with transaction.atomic():
        held = begin_change(actor, Right.USER_MANAGE)
        if user.pk == actor.user_id:
            raise ConflictError(_("Users can't unlink themselves."), _("Ask another administrator."))
        check_covers_user(held, User.objects.get(pk=user.pk), actor=actor)
        links = list(SignOnIdentity.objects.select_for_update().filter(user=user).order_by("pk"))
        if not links:
            raise ConflictError(_("%(user)s has no company account.") % {"user": user}, _("Reload the page."))
        # Under a policy on users: another account of the name can be linked then, as a new password would let one in.
        require_approval("user.unlink", {"user": user.pk}, actor=actor)
        SignOnIdentity.objects.filter(pk__in=[link.pk for link in links]).delete()
        sessions.remove_begun_at_provider(user)
        record(
            "user.unlinked",
            actor=actor,
            message=f"User {user} unlinked from the account at the identity provider; sessions that began there ended",
            data={
                "user_id": user.pk,
                "accounts": [{"issuer": link.issuer, "subject": link.subject} for link in links],
            },
        )
