"""What a person does about a due rotation: try it now, or give it up. POST only; the key group's page has the buttons."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs import due_rotations
from keygroups.lookups import group_or_404
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to


@require_POST
@right_required(Right.KEY_ROTATE)
def try_rotation(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Try a due rotation at once, and go to its job."""
    group = group_or_404(group_id)
    try:
        job = due_rotations.try_now(group=group, actor=Actor.from_user(request.user))
    except ConflictError as error:
        messages.error(request, str(error))
        return go_to(request, group.get_absolute_url())
    if job is None:
        messages.error(request, _("The rotation can't begin now; the key group says why."))
    return go_to(request, job.get_absolute_url() if job else group.get_absolute_url())


@require_POST
@right_required(Right.KEY_ROTATE)
def stop_rotation(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Give a due rotation up."""
    group = group_or_404(group_id)
    try:
        due_rotations.stop(group=group, actor=Actor.from_user(request.user))
    except ConflictError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The due rotation of %(name)s is given up.") % {"name": group.name})
    return go_to(request, group.get_absolute_url())
