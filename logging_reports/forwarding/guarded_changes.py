"""Changes of log destinations that an approval policy can be about. A token is entered when the change is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, in_words, list_changes, register
from logging_reports.forwarding.destinations import delete_destination, facts_of
from logging_reports.forwarding.models import ForwardingDestination

# The action of the policy, and the kind of job.
FORWARDING = "change_forwarding"
ADD, CHANGE, DELETE = "forwarding.add", "forwarding.change", "forwarding.delete"
_COLUMNS = (
    *("name", "is_enabled", "transport", "row_format", "host", "port", "path", "ca_certificates"),
    *("services", "lowest_severity", "events"),
)
_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operations. What has a token is applied by its form."""
    register(
        Operation(name=ADD, action=FORWARDING, describe=_describe_new, form=lambda _values: reverse("forwarding:add")),
        Operation(name=CHANGE, action=FORWARDING, describe=_describe_change, form=_edit_form, lock=_lock),
        Operation(name=DELETE, action=FORWARDING, describe=_describe_deletion, apply=_delete, lock=_lock),
    )


def form_values(found: _Values) -> dict[str, Any]:
    """Return the values of a request as the form of a destination takes them; nothing for none."""
    values = {name: found[name] for name in (*_COLUMNS, "start") if name in found}
    return {**values, "events": "\n".join(found["events"])} if values else {}


def _edit_form(values: _Values) -> str:
    return reverse("forwarding:edit", args=[values["destination"]])


def _lock(values: _Values, _actor: Actor) -> None:
    list(
        ForwardingDestination.objects.select_for_update().filter(pk=values["destination"]).values_list("pk", flat=True)
    )


def _find(values: _Values) -> ForwardingDestination:
    found = ForwardingDestination.objects.filter(pk=values["destination"]).first()
    if found is None:
        raise ConflictError(_("The log destination was deleted meanwhile."))
    return found


def _labels() -> dict[str, str]:
    return {
        "name": _("Name"),
        "in_use": _("In use"),
        "transport": _("Transport"),
        "format": _("Format"),
        "address": _("Address"),
        "ca_sha256": _("CA certificates (SHA-256)"),
        "authenticates": _("Token"),
        "logs": _("Logs"),
        "lowest_severity": _("Lowest severity"),
        "events": _("Events"),
    }


def _facts(values: _Values, *, token: bool) -> dict[str, Any]:
    wanted = ForwardingDestination(**{name: values[name] for name in _COLUMNS})
    return {**facts_of(wanted), "authenticates": token}


def _token_facts(values: _Values) -> list[tuple[str, str]]:
    return [(_("New token"), _("entered when the change is applied"))] if values["has_token"] else []


def _describe_new(values: _Values) -> Description:
    facts = _facts(values, token=values["has_token"])
    return Description(
        subject=values["name"],
        title=_("Add the log destination %(name)s") % {"name": values["name"]},
        back=reverse("forwarding:list"),
        facts=[
            *((label, in_words(facts[name])) for name, label in _labels().items()),
            (_("Begin"), values["start"]),
            *_token_facts(values),
        ],
        effects=[_("It gets rows of the log, which name users, keys and vaults.")],
    )


def _describe_change(values: _Values) -> Description:
    present = _find(values)
    before = facts_of(present)
    return Description(
        subject=present.name,
        title=_("Change the log destination %(name)s") % {"name": present.name},
        back=present.get_absolute_url(),
        facts=[
            (_("Log destination"), present.name),
            (_("Address"), present.address),
            *list_changes(_labels(), before, _facts(values, token=bool(before["authenticates"]))),
            *_token_facts(values),
        ],
    )


def _describe_deletion(values: _Values) -> Description:
    present = _find(values)
    facts = facts_of(present)
    return Description(
        subject=present.name,
        title=_("Delete the log destination %(name)s") % {"name": present.name},
        back=present.get_absolute_url(),
        facts=[(label, in_words(facts[name])) for name, label in _labels().items()],
        effects=[_("It gets no further rows. The log keeps its rows.")],
    )


def _delete(values: _Values, actor: Actor) -> Applied:
    destination = _find(values)
    delete_destination(destination, actor=actor)
    message = _("The destination %(name)s was deleted.") % {"name": destination.name}
    return Applied(message=message, page=reverse("forwarding:list"))
