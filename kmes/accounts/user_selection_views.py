"""Pages that deactivate, reactivate or sign out several users. Each is changed by itself, as from its own page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from kmes.accounts import services, sessions, withdrawal
from kmes.accounts.actions import why_not_deactivate, why_not_reactivate
from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.ui import many
from kmes.ui.access import right_required
from kmes.ui.actions import show_menu
from kmes.ui.responses import go_to, render_form


@dataclass(frozen=True, kw_only=True)
class _Act:
    title: str | Promise
    verb: str | Promise
    effect: Callable[[], str]
    why_not: Callable[[User], str]
    done: str | Promise
    danger: bool = True


def _why_not_end_sessions(user: User) -> str:
    return "" if user.__dict__["open_sessions"] else _("No session is open")


ACTS = {
    "deactivate": _Act(
        title=ngettext_lazy("Deactivate %(count)d user", "Deactivate %(count)d users", "count"),
        verb=gettext_lazy("Deactivate"),
        effect=lambda: _("They are signed out at once and can't sign in any more. What they did stays in the log."),
        why_not=why_not_deactivate,
        done=ngettext_lazy("%(count)d user is deactivated.", "%(count)d users are deactivated.", "count"),
    ),
    "reactivate": _Act(
        title=ngettext_lazy("Reactivate %(count)d user", "Reactivate %(count)d users", "count"),
        verb=gettext_lazy("Reactivate"),
        effect=lambda: _("Each can sign in again with a one-time password that is shown once."),
        why_not=why_not_reactivate,
        done=ngettext_lazy("%(count)d user is reactivated.", "%(count)d users are reactivated.", "count"),
        danger=False,
    ),
    "end-sessions": _Act(
        title=ngettext_lazy("End the sessions of %(count)d user", "End the sessions of %(count)d users", "count"),
        verb=gettext_lazy("End sessions"),
        effect=lambda: _("They are signed out with their next request and can sign in again. This session stays."),
        why_not=_why_not_end_sessions,
        done=ngettext_lazy("The sessions of %(count)d user ended.", "The sessions of %(count)d users ended.", "count"),
    ),
}


@require_POST
@right_required(Right.CONSOLE_READ)
def show_selection_actions(request: HttpRequest) -> HttpResponse:
    """Show the menu of several users. Changes nothing; it is posted because a selection may be long."""
    users = [row.obj for row in _rows(request, ACTS["end-sessions"])]
    name = ngettext("%(count)d user", "%(count)d users", len(users)) % {"count": len(users)}
    return show_menu(request, "selected_users", users, name=name, back=reverse("accounts:users"))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.USER_MANAGE)
def act_on_users(request: HttpRequest, act: str) -> HttpResponse:
    """Show what will happen to each of the selected users; on POST without ``ask`` do it."""
    chosen = ACTS.get(act)
    if chosen is None:
        raise Http404(_("There is no such action on several users."))
    rows = _rows(request, chosen, with_effects=act == "deactivate")
    if not rows:
        raise InputError(_("No user is selected."), _("Tick the boxes of the users."))
    ready = sum(not row.reason for row in rows)
    if many.is_sent(request) and ready:
        outcome = many.act_on(rows, _doing(request, act))
        if act == "reactivate" and outcome.done:
            return _show_passwords(request, outcome)
        many.tell(request, outcome, str(chosen.done % {"count": len(outcome.done)}))
        return go_to(request, reverse("accounts:users"))
    title = str(chosen.title % {"count": ready or len(rows)})
    context: dict[str, Any] = {
        "title": title,
        "button": chosen.verb,
        "effect": chosen.effect(),
        "danger": chosen.danger,
        **many.context_of(rows, back=reverse("accounts:users"), back_name=_("Users")),
    }
    return render_form(request, "ui/many.html", context, refused=many.is_sent(request))


def _rows(request: HttpRequest, act: _Act, *, with_effects: bool = False) -> list[many.Row]:
    ids = [int(value) for value in many.picked(request) if value.isdecimal() and len(value) < 10]
    users = list(User.objects.filter(pk__in=ids).prefetch_related("assignments").order_by("username"))
    counted = sessions.list_sessions().order_by().filter(user__in=users).values_list("user").annotate(Count("pk"))
    open_sessions = dict(counted)
    rows = []
    for user in users:
        # The reasons depend on the viewer: nobody deactivates themselves, or who has more rights.
        user.__dict__.update(viewer=request.user, open_sessions=open_sessions.get(user.pk, 0))
        reason = act.why_not(user)
        rows.append(many.Row(user, reason, withdrawal.describe(user) if with_effects and not reason else []))
    return rows


def _doing(request: HttpRequest, act: str) -> Callable[[User], Any]:
    actor = Actor.from_user(request.user)
    if act == "deactivate":
        return lambda user: services.deactivate_user(user=user, actor=actor)
    if act == "reactivate":
        return lambda user: services.reactivate_user(user=user, actor=actor)
    kept = str(request.session.session_key)
    return lambda user: sessions.end_all(user=user, actor=actor, kept_key=kept)


def _show_passwords(request: HttpRequest, outcome: many.Outcome) -> HttpResponse:
    """Show the one-time passwords in this response; messages would be stored in the session's row."""
    shown = [(user, password.reveal()) for user, password in outcome.done]
    left_out = many.describe_refused(outcome) if outcome.refused else ""
    response = render(request, "accounts/one_time_passwords.html", {"shown": shown, "left_out": left_out})
    response.headers["Cache-Control"] = "no-store"
    return response
