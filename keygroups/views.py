"""The Keys view, a key's properties, and the menus of both. Reads only; ``change_views`` changes groups."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.core.paginator import Page
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from keygroups import states
from keygroups.choices import Drift
from keygroups.comparison import compare_in_columns
from keygroups.drift import is_repairable
from keygroups.filters import TREE_ORDER_LABELS, KeysFilter, TreeOrder, read_uuid
from keygroups.inspector import next_step_of_group, read_key
from keygroups.key_events import edges_of_keys
from keygroups.key_jobs import KeyJobs, jobs_of_keys
from keygroups.lifeline import LIFE_SPANS, draw_lifeline
from keygroups.lookups import group_or_404, key_or_404
from keygroups.models import KeyGroup
from keygroups.policy import describe, period_text, policy_of
from keygroups.public_keys import check_value, to_jwk, to_pem
from keygroups.rotation_slots import current_slot
from keygroups.selection import GroupSelection, KeySelection
from keygroups.selectors import (
    ATTENTION_LABELS,
    find_group,
    find_observation,
    has_vault_answered,
    list_groups,
    list_strangers,
    list_versions,
    read_digest,
)
from keygroups.tables import KeyTable
from keygroups.tree import group_node, read_branch, read_tree
from kmes.accounts.permissions import render_permissions
from kmes.accounts.rights import Right
from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.actions import MenuItem, flat_menu, menu_for, show_menu
from kmes.ui.pages import RowPaginator
from kmes.ui.responses import asks_for_fragment
from kmes.ui.tables import arrange

GROUPS_PER_PAGE = 100
KEYS_PANE = "keys-pane"
# What the page shows already, the group it shows if its address names none, and whether its tree lacks
# that group. Headers instead of parameters, because the table builds its links from the address.
SEEN_HEADER = "X-Kmes-Seen"
GROUP_HEADER = "X-Kmes-Group"
NO_NODE_HEADER = "X-Kmes-No-Node"
# The key that the inspector of a refreshed page shows.
INSPECTED_HEADER = "X-Kmes-Inspected"
_RIGHTS_ON_GROUPS = (
    *(Right.CONSOLE_READ, Right.GROUP_MANAGE, Right.KEY_CREATE, Right.KEY_PUSH, Right.KEY_ROTATE, Right.KEY_DISABLE),
    *(Right.KEY_DESTROY, Right.CLOUD_DELETE, Right.CLOUD_PURGE, Right.JOB_CANCEL),
)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_keys(request: HttpRequest) -> HttpResponse:
    """Show the tree of groups on the left and the keys of what is chosen in it on the right."""
    wanted = KeysFilter.read(request.GET)
    groups = list_groups(search=wanted.q, show=wanted.show)
    # Lazy, because a refreshed right side shows no groups.
    page: Any = SimpleLazyObject(lambda: RowPaginator(groups, GROUPS_PER_PAGE).get_page(request.GET.get("groups")))
    is_pane = asks_for_fragment(request) and request.headers.get("HX-Target") == KEYS_PANE
    group = _group_still_shown(request) if is_pane and not wanted.group else None
    group = group or _chosen_group(wanted, page)
    # The right side shows the first group if the address names none.
    shown = replace(wanted, group=group.pk) if group else wanted
    keys = shown.keys()
    digest, count = read_digest(group, keys)
    if is_pane and request.headers.get(SEEN_HEADER) == digest:
        return HttpResponse(status=204)
    context = {
        "wanted": wanted,
        "pane": _pane(request, shown, group, keys, digest=digest, count=count),
        "is_pane": is_pane,
        "groups_link": wanted.link(),
        "inspected": _inspected(request),
    }
    if is_pane:
        has_node = NO_NODE_HEADER not in request.headers
        context["node"] = group_node(wanted, group) if group and has_node else None
        return render(request, "keygroups/_pane.html", context)
    context |= {
        "page": page,
        "tree_branch": read_tree(wanted, page, group),
        "is_workbench": page.paginator.count or wanted.is_set,
        "views": _views(wanted),
        "shows": ATTENTION_LABELS,
        "can_add": request.user.may_somewhere(Right.GROUP_MANAGE),  # type: ignore[union-attr]
        "group_bulk": _bulk_of_groups(request),
        # What “all that match” means: search and filter, wherever in the tree one is.
        "groups_filter": wanted.link().removeprefix("?"),
    }
    return render(request, "keygroups/keys.html", context)


def _views(wanted: KeysFilter) -> list[tuple[str, str, bool]]:
    """Return the orders of the tree: label, address, and whether it is this one."""
    kept = {"group": wanted.group} if wanted.group else {}
    return [
        (str(label), wanted.link(view=view, **kept), view == wanted.view) for view, label in TREE_ORDER_LABELS.items()
    ]


@require_safe
@right_required(Right.CONSOLE_READ)
def show_branch(request: HttpRequest) -> HttpResponse:
    """Return the children of one node of the tree."""
    branch = read_branch(KeysFilter.read(request.GET), request.GET.get("node", ""), request.GET.get("page", "1"))
    if branch is None:
        raise Http404(_("There is no such branch."))
    return render(request, "keygroups/_branch.html", {"branch": branch, "group_bulk": _bulk_of_groups(request)})


def _group_still_shown(request: HttpRequest) -> KeyGroup | None:
    """Return the group that a refreshed page shows: a new first group must not replace it."""
    named = read_uuid(request.headers.get(GROUP_HEADER, ""))
    return find_group(named) if named else None


def _chosen_group(wanted: KeysFilter, page: Page[KeyGroup]) -> KeyGroup | None:
    """Return the group that the address names, else the first one, but none for keys of several groups."""
    if wanted.group is not None:
        return group_or_404(wanted.group)
    if wanted.spans_groups or wanted.view != TreeOrder.GROUP:
        return None
    return next(iter(page.object_list), None)


def _pane(
    request: HttpRequest, shown: KeysFilter, group: KeyGroup | None, keys: Any, *, digest: str, count: int
) -> dict[str, Any]:
    """Return what the right side shows. ``count``: how many keys there are."""
    bulk = menu_for("keys", None, request.user)
    table = KeyTable(keys, exclude=([] if bulk else ["pick"]) + (["group"] if group else []))
    table.pins_active = group is not None
    table.data.count = count
    arrange(request, table)
    table.key_jobs = jobs_of_keys(row.record.pk for row in table.paginated_rows)
    return {
        "id": KEYS_PANE,
        "group": group,
        "table": table,
        "bulk": flat_menu(bulk),
        "filter": shown.query(),
        "count": table.paginator.count,
        "has_more": table.paginator.num_pages > 1,
        "state": states.of_group(group) if group else None,
        "warnings": states.warnings_of(group, [row.record for row in table.paginated_rows]) if group else [],
        "due_rotation": current_slot(group) if group else None,
        "may_rotate": group is not None and _may(request, Right.KEY_ROTATE, group),
        "description": describe(policy_of(group)) if group else None,
        "digest": digest,
        "next": next_step_of_group(group, request.user) if group else None,
        "every": period_text(group.rotate_every, group.rotate_unit) if group and group.rotate_every else "",
        "has_keys_at_all": bool(group and not count and shown.is_set and group.keys.exists()),
        **_first_steps(request, group),
    }


def _inspected(request: HttpRequest) -> dict[str, Any] | None:
    """Return what the inspector shows of the key in the address or in the refreshed page; None for the group."""
    named = read_uuid(request.headers.get(INSPECTED_HEADER, "") or request.GET.get("inspect", ""))
    return read_key(request, named) if named else None


@require_safe
@right_required(Right.CONSOLE_READ)
def inspect_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Return the inspector's content for a key; its place in the Keys view without script."""
    inspected = read_key(request, key_id)
    if inspected is None:
        raise Http404(_("There is no such key."))
    if not asks_for_fragment(request):
        return redirect(f"{inspected['group'].get_absolute_url()}&inspect={key_id}")
    return render(request, "keygroups/_inspected_key.html", {"inspected": inspected})


@require_safe
@right_required(Right.CONSOLE_READ)
def inspect_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Return the inspector's content for a group; its place in the Keys view without script."""
    group = group_or_404(group_id)
    if not asks_for_fragment(request):
        return redirect(group.get_absolute_url())
    pane = {"group": group, "description": describe(policy_of(group))}
    return render(request, "keygroups/_inspected_group.html", {"pane": pane})


def _first_steps(request: HttpRequest, group: KeyGroup | None) -> dict[str, str]:
    """Return links for a group without keys: create one, and test the credential if its vault never answered."""
    if group is None or group.key_count:  # type: ignore[attr-defined]
        return {}
    create = (
        f"{reverse('jobs:start', args=['create'])}?group={group.pk}" if _may(request, Right.KEY_CREATE, group) else ""
    )
    return {
        "create_url": create,
        "unreached_url": "" if has_vault_answered(group) else group.credential.get_absolute_url(),
    }


@require_safe
@right_required(Right.CONSOLE_READ)
def show_group(_request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Redirect to the group's place in the Keys view."""
    return redirect(group_or_404(group_id).get_absolute_url())


@require_safe
@right_required(Right.CONSOLE_READ)
def show_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Show a key's properties: here, last known and live in Azure, and the versions of its group."""
    key = key_or_404(key_id)
    version = states.version_shown(key)
    observation = find_observation(version) if version else None
    group, versions, strangers = key.group, list_versions(key.group), list_strangers(key.group)
    span = request.GET.get("span", "")
    key_jobs = jobs_of_keys({key.pk, *(each.key_id for each in versions)})
    can_read_log = _may(request, Right.LOG_READ)
    edges = edges_of_keys([each.key for each in versions]) if can_read_log else {}
    events_url = reverse("keygroups:key_events", args=[key.pk]) if can_read_log else ""
    known = {"all", *(str(each.key_id) for each in versions)}
    events_of = request.GET.get("version", "")
    lifeline = draw_lifeline(
        group, versions, strangers, key_jobs, this=key.pk, span=span, edges=edges, events_url=events_url
    )
    context = {
        "key": key,
        "group": group,
        "version": version,
        "observation": observation,
        "flags": [Drift(flag).label for flag in observation.flags] if observation else [],
        "can_repair": observation is not None
        and is_repairable(observation)
        and _may(request, Right.KEY_DISABLE, group),
        "columns": compare_in_columns(group, key, version, observation),
        "versionless": f"{group.vault.url.rstrip('/')}/keys/{group.azure_name}",
        "versions": [
            (each, states.of_version(each), each.key_id == key.pk, key_jobs.get(each.key_id, KeyJobs()).push)
            for each in versions
        ],
        "strangers": [(each, states.of_stranger(each)) for each in strangers],
        "lifeline": lifeline,
        "events_of": events_of if events_of in known else "",
        "span": span,
        "life_spans": LIFE_SPANS,
        "last_job": key_jobs.get(key.pk, KeyJobs()).last,
        "state": states.of_key(key),
        "version_state": states.of_version(version) if version else None,
        "check_value": check_value(key.thumbprint),
        "pem": to_pem(bytes(key.public_spki)),
        "can_read_log": can_read_log,
        "can_export": can_read_log and _may(request, Right.LOG_EXPORT),
    }
    return render(request, "keygroups/key_detail.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def download_public(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Download the public key: ``?format=pem`` or ``jwk``."""
    key = key_or_404(key_id)
    wanted, spki = request.GET.get("format", "pem"), bytes(key.public_spki)
    if wanted == "pem":
        response = HttpResponse(to_pem(spki), content_type="application/x-pem-file")
    elif wanted == "jwk":
        text = json.dumps(to_jwk(spki, thumbprint=key.thumbprint), indent=2)
        response = HttpResponse(text + "\n", content_type="application/jwk+json")
    else:
        raise InputError(_("There is no such format."), _("Ask for format=pem or format=jwk."), field="format")
    # A file name holds no path; the key's name may.
    name = "".join("-" if character in '/\\:"' else character for character in key.name)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=f"{name}.{wanted}")
    return response


@require_safe
@right_required(Right.CONSOLE_READ)
def show_key_actions(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Show the menu of a key."""
    key = key_or_404(key_id)
    return show_menu(request, "key", key, name=str(key), back=key.get_absolute_url())


@require_safe
@right_required(Right.CONSOLE_READ)
def show_group_actions(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Show the menu of a group."""
    group = group_or_404(group_id)
    return show_menu(request, "group", group, name=str(group), back=group.get_absolute_url())


@require_safe
@right_required(Right.CONSOLE_READ)
def show_group_permissions(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Show who may do what with a group and its keys."""
    group = group_or_404(group_id)
    return render_permissions(request, group, rights=_RIGHTS_ON_GROUPS, back=group.get_absolute_url())


@require_POST
@right_required(Right.CONSOLE_READ)
def show_selection_actions(request: HttpRequest) -> HttpResponse:
    """Show the menu of several keys. Changes nothing; it is posted because a selection may be long."""
    selection = KeySelection.read(request.POST) or KeySelection()
    name = ngettext("%(count)d key", "%(count)d keys", selection.count) % {"count": selection.count}
    return show_menu(request, "keys", selection, name=name, back=reverse("keygroups:keys"))


@require_POST
@right_required(Right.CONSOLE_READ)
def show_group_selection_actions(request: HttpRequest) -> HttpResponse:
    """Show the menu of several key groups. Changes nothing; it is posted because a selection may be long."""
    selection = GroupSelection.read(request.POST) or GroupSelection()
    name = ngettext("%(count)d key group", "%(count)d key groups", selection.count) % {"count": selection.count}
    return show_menu(request, "selected_groups", selection, name=name, back=reverse("keygroups:keys"))


@require_safe
@right_required(Right.CONSOLE_READ)
def show_groups_actions(request: HttpRequest) -> HttpResponse:
    """Show the menu of the background of the list of groups."""
    return show_menu(request, "groups", None, name=_("Key groups"), back=reverse("keygroups:keys"))


def _bulk_of_groups(request: HttpRequest) -> list[tuple[str, MenuItem]]:
    """Return what the user may do with several key groups; without any, their rows have no boxes."""
    return flat_menu(menu_for("selected_groups", None, request.user))


def _may(request: HttpRequest, right: Right, *objects: KeyGroup) -> bool:
    user: Any = request.user
    return bool(user.may(right, *objects))
