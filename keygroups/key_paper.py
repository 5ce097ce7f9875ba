"""The history of one key as a PDF file: what it is, the lifeline of its Azure key's versions, and its events. Reads, and logs."""

from __future__ import annotations

import hashlib
from datetime import UTC

from django.utils.translation import gettext as _

from keygroups import states
from keygroups.key_events import KeyEvent, edges_of_keys, list_key_events
from keygroups.key_jobs import jobs_of_keys
from keygroups.lifeline import draw_lifeline
from keygroups.models import Key
from keygroups.public_keys import check_value
from keygroups.selectors import list_strangers, list_versions
from keygroups.services import subject_of
from kmes.core.actor import Actor
from kmes.core.clock import now, stamp
from kmes.ui.paper import Paper, Sheet
from kmes.ui.pdf import MOST_ROWS, make_pdf
from logging_reports.choices import Severity
from logging_reports.services import record


def make_key_pdf(key: Key, *, actor: Actor, size: str) -> tuple[str, bytes]:
    """Return the name and the content of a PDF file with a key's history, and log the download.

    Raises:
        ConflictError: other files are being made for too long.
        LogWriteError: the download can't be logged.

    """
    moment = now()
    events, has_more = list_key_events(key, limit=MOST_ROWS)
    notes = [_("The %(count)d newest events are here.") % {"count": len(events)}] if has_more else []
    content = make_pdf(
        Paper(
            _("History of key %(name)s") % {"name": key.name},
            made_by=actor.name,
            made_at=moment,
            facts=_facts(key),
            notes=notes,
            sheets=[*_lifeline(key), _events(events)],
        ),
        size=size,
    )
    file_name = f"key-{check_value(key.thumbprint).lower()}-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.pdf"
    record(
        "report.exported",
        actor=actor,
        severity=Severity.WARNING if has_more else Severity.INFO,
        message=f"Exported the history of key {key.name}",
        subject=subject_of(key.group, key),
        data={
            "file": file_name,
            "rows": len(events),
            "sha256": hashlib.sha256(content).hexdigest(),
            "complete": not has_more,
        },
    )
    return file_name, content


def _facts(key: Key) -> list[tuple[str, str]]:
    version, group = states.version_shown(key), key.group
    facts = [
        (_("State"), str(states.of_key(key).label)),
        (_("Type"), key.key_spec),
        (_("Key group"), group.name),
        (
            _("Created"),
            _("%(moment)s by %(name)s") % {"moment": f"{stamp(key.created_at)} UTC", "name": key.created_by},
        ),
        (_("Thumbprint"), key.thumbprint),
        (_("Key Vault"), group.vault.name),
        (_("Azure key"), group.azure_name),
    ]
    if version is not None:
        facts.append((_("State in Azure"), str(states.of_version(version).label)))
        if version.kid:
            facts.append((_("Identifier of this version"), version.kid))
    return facts


def _lifeline(key: Key) -> list[Sheet]:
    versions, strangers = list_versions(key.group), list_strangers(key.group)
    jobs = jobs_of_keys({key.pk, *(each.key_id for each in versions)})
    edges = edges_of_keys([each.key for each in versions])
    picture = draw_lifeline(key.group, versions, strangers, jobs, this=key.pk, edges=edges)
    if picture is None:
        return []
    rows = [[str(cell.text) for cell in row] for row in picture.rows]
    return [Sheet(picture.columns, rows, title=picture.title)]


def _events(events: list[KeyEvent]) -> Sheet:
    rows = [[stamp(each.row.at), each.log, each.label, each.message, each.actor] for each in events]
    columns = [_("Time (UTC)"), _("Log"), _("Event"), _("Message"), _("Actor")]
    return Sheet(columns, rows, title=_("Events of this key"))
