"""The only writer of acknowledgements: users take matters off the list and put them back, the scan ends what is over."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.accounts.rights import check
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.dashboard.attention.facts import MOST, Fact, collect
from kmes.dashboard.attention.lines import digest_of, is_covered, open_acknowledgements
from kmes.dashboard.attention.matters import Matter
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.dashboard.models import Acknowledgement
from kmes.dashboard.selectors import find_device
from logging_reports.services import record

# Objects that a log row names.
_NAMED_IN_LOG = 20


def acknowledge(*, matter: Matter, facts: Sequence[Fact], seen: str, reason: str, actor: Actor) -> int:
    """Take the facts of a matter off the list until they are over. Return how many.

    ``facts``: those that are open now. ``seen``: the digest of those that the user saw.

    Raises:
        PermissionRefused: the actor may not act on the matter.
        ConflictError: other objects are concerned than those that the user saw, too many, or the matter has to be closed
            on its own page.

    """
    check(actor, matter.right)
    if not matter.can_acknowledge:
        raise ConflictError(_("This can't be acknowledged: it has to be reviewed."))
    if not facts or digest_of(facts) != seen:
        raise ConflictError(
            _("What needs attention has changed since this was opened."), _("Review it again, then acknowledge it.")
        )
    if len(facts) > MOST:
        raise ConflictError(
            _("More than %(count)d cannot be acknowledged at once.") % {"count": MOST}, _("Act on the cause first.")
        )
    moment = now()
    with transaction.atomic():
        # What was acknowledged in another state is over.
        known = open_acknowledgements()
        former = [known.get((fact.matter, fact.subject)) for fact in facts if not is_covered(fact, known)]
        Acknowledgement.objects.filter(pk__in=[row.pk for row in former if row is not None]).update(ended_at=moment)
        Acknowledgement.objects.bulk_create(
            [
                Acknowledgement(
                    matter=fact.matter,
                    subject=fact.subject,
                    state=fact.state,
                    label=fact.label,
                    reason=reason,
                    acknowledged_at=moment,
                    acknowledged_by=actor.name,
                )
                for fact in facts
            ],
            # Two users at once: the first one's stays.
            ignore_conflicts=True,
        )
        _log("attention.acknowledged", matter, facts, actor, f"Reason: {reason}")
    return len(facts)


def withdraw(*, matter: Matter, actor: Actor) -> int:
    """Put everything of a matter that was acknowledged back on the list. Return how many objects.

    Raises:
        PermissionRefused: the actor may not act on the matter.

    """
    check(actor, matter.right)
    with transaction.atomic():
        rows = list(Acknowledgement.objects.filter(matter=matter.name, ended_at=None))
        facts = [Fact(row.matter, row.subject, row.label) for row in rows]
        if facts:
            Acknowledgement.objects.filter(pk__in=[row.pk for row in rows]).update(ended_at=now())
            _log("attention.acknowledgement_withdrawn", matter, facts, actor)
    return len(facts)


def end_cured() -> int:
    """End the acknowledgements of matters that are over, so that they are shown when they happen again. Return how many."""
    known = open_acknowledgements()
    if not known:
        return 0
    present = {(fact.matter, fact.subject, fact.state) for fact in collect(read_heartbeats(), find_device())}
    over = [row.pk for row in known.values() if (row.matter, row.subject, row.state) not in present]
    return Acknowledgement.objects.filter(pk__in=over, ended_at=None).update(ended_at=now())


def _log(event: str, matter: Matter, facts: Sequence[Fact], actor: Actor, said: str = "") -> None:
    with language.of_records():
        text = ". ".join(part for part in (matter.say(facts), said) if part)
    labels = [fact.label for fact in facts if fact.label]
    record(event, actor=actor, message=text, data={"matter": matter.name, "objects": labels[:_NAMED_IN_LOG]})
