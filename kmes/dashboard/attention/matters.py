"""The matters that need attention: severity, words, the page that helps, and the right needed to acknowledge it.

That is the right to act on the matter. Queries belong in ``facts``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from jobs.choices import HoldReason
from kmes.accounts.rights import Right
from kmes.core.clock import stamp
from kmes.dashboard.attention.facts import Fact

_NAMED = 3
_ERROR_SHOWN = 160
Text = str | Promise


class Grade(StrEnum):
    """How severe a matter is, in order; the values are colours of badges."""

    CRITICAL = "bad"
    WARNING = "warning"
    INFO = "info"


GRADE_LABELS = {
    Grade.CRITICAL: gettext_lazy("Critical"),
    Grade.WARNING: gettext_lazy("Warning"),
    Grade.INFO: gettext_lazy("Info"),
}


def _nothing(_facts: Sequence[Fact]) -> str:
    return ""


def name_some(facts: Sequence[Fact]) -> str:
    """Return the names of the first objects, and how many more there are."""
    names = list(dict.fromkeys(fact.label for fact in facts if fact.label))
    shown, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    if more <= 0:
        return shown
    return ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more) % {
        "names": shown,
        "count": more,
    }


@dataclass(frozen=True)
class Matter:
    """One sort of thing that needs attention.

    ``text`` is a sentence, or a plural form that takes the number of objects. ``act`` labels the link to ``view``.
    """

    name: str
    grade: Grade
    text: Text
    act: Text
    view: str
    right: Right
    query: str = ""
    why: Callable[[Sequence[Fact]], str] = _nothing
    # The right to see the page that the link leads to.
    sees: Right = Right.CONSOLE_READ
    is_counted: bool = False
    # What only its own page closes is never taken off the list.
    can_acknowledge: bool = True

    def say(self, facts: Sequence[Fact]) -> str:
        """Return what is wrong, in one sentence."""
        if self.is_counted:
            return str(self.text % len(facts))  # type: ignore[operator]
        return str(self.text)

    @property
    def url(self) -> str:
        """Return the page that helps."""
        return f"{reverse(self.view)}{self.query}"


# --- Why --------------------------------------------------------------------------------------
def _advice(text: Text) -> Callable[[Sequence[Fact]], str]:
    return lambda _facts: str(text)


def _detail(facts: Sequence[Fact]) -> str:
    return facts[0].detail


def _since(facts: Sequence[Fact]) -> str:
    moments = [fact.at for fact in facts if fact.at]
    if not moments:
        return name_some(facts)
    return _("%(names)s; the oldest since %(moment)s UTC") % {"names": name_some(facts), "moment": stamp(min(moments))}


def _expires(facts: Sequence[Fact]) -> str:
    moments = [fact.at for fact in facts if fact.at]
    return _("%(names)s; the first on %(moment)s UTC") % {"names": name_some(facts), "moment": stamp(min(moments))}


def _last_error(facts: Sequence[Fact]) -> str:
    newest = facts[-1]
    told = newest.detail if len(newest.detail) <= _ERROR_SHOWN else f"{newest.detail[:_ERROR_SHOWN]}…"
    return _("%(names)s. Latest error: %(error)s") % {"names": name_some(facts), "error": told or "–"}


def _named_with_detail(facts: Sequence[Fact]) -> str:
    return ", ".join(f"{fact.label} ({fact.detail})" for fact in facts[:_NAMED])


def _held(facts: Sequence[Fact]) -> str:
    found = next((reason for reason in HoldReason if reason.value == facts[0].detail), None)
    return str(found.label) if found else ""


def _device_error(facts: Sequence[Fact]) -> str:
    return _("%(device)s reports %(code)s. Keys can be neither made nor synchronized.") % {
        "device": facts[0].label,
        "code": facts[0].detail,
    }


def _separation(facts: Sequence[Fact]) -> str:
    return _("All processes run as root and can read the PIN (%(reason)s)") % {"reason": facts[0].detail}


_JOBS, _KEYS, _CREDENTIALS = "jobs:list", "keygroups:keys", "cloudcreds:list"
_OPEN_JOBS, _OPEN_DEVICE = gettext_lazy("Open jobs"), gettext_lazy("Open device")
_ALL = (
    Matter(
        "break-glass",
        Grade.CRITICAL,
        ngettext_lazy(
            "%d action was done without approvals: review it", "%d actions were done without approvals: review them"
        ),
        gettext_lazy("Review"),
        "approvals:list",
        Right.APPROVAL_MANAGE,
        query="?show=review",
        why=_named_with_detail,
        is_counted=True,
        can_acknowledge=False,
    ),
    # --- Processes and device ---
    Matter(
        "redis",
        Grade.CRITICAL,
        gettext_lazy("Redis does not answer: jobs wait until it is back, and nothing is lost"),
        _OPEN_JOBS,
        _JOBS,
        Right.CONFIGURATION_MANAGE,
        why=_advice(gettext_lazy("Start Redis, or check KMES_REDIS_URL.")),
    ),
    Matter(
        "worker",
        Grade.CRITICAL,
        gettext_lazy("No cloud worker has reported in the last minute: jobs wait"),
        _OPEN_JOBS,
        _JOBS,
        Right.CONFIGURATION_MANAGE,
        why=_advice(gettext_lazy("Start a cloud worker. The log of its process says why it ended.")),
    ),
    Matter(
        "no-fit-worker",
        Grade.CRITICAL,
        gettext_lazy("All cloud workers are of another release: jobs wait"),
        _OPEN_JOBS,
        _JOBS,
        Right.CONFIGURATION_MANAGE,
        why=_advice(gettext_lazy("Finish the upgrade of the workers.")),
    ),
    Matter(
        "releases",
        Grade.WARNING,
        ngettext_lazy("%d worker of another release takes no jobs", "%d workers of another release take no jobs"),
        _OPEN_JOBS,
        _JOBS,
        Right.CONFIGURATION_MANAGE,
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "beat",
        Grade.WARNING,
        gettext_lazy("The scheduler is silent: rotations wait"),
        _OPEN_JOBS,
        _JOBS,
        Right.CONFIGURATION_MANAGE,
        why=_advice(gettext_lazy("Start beat. The log of its process says why it ended.")),
    ),
    Matter(
        "no-device",
        Grade.CRITICAL,
        gettext_lazy("No device is designated: keys can be neither made nor synchronized"),
        gettext_lazy("Open configuration"),
        "hsm:configuration",
        Right.DEVICE_MANAGE,
    ),
    Matter(
        "device",
        Grade.CRITICAL,
        gettext_lazy("The device is not available"),
        _OPEN_DEVICE,
        "hsm:device",
        Right.DEVICE_MANAGE,
        why=_device_error,
    ),
    Matter(
        "silent-device",
        Grade.CRITICAL,
        gettext_lazy("The device was not seen for some minutes"),
        _OPEN_DEVICE,
        "hsm:device",
        Right.DEVICE_MANAGE,
        why=_since,
    ),
    Matter(
        "mfk",
        Grade.CRITICAL,
        gettext_lazy("No secret can be sealed"),
        _OPEN_DEVICE,
        "hsm:device",
        Right.DEVICE_MANAGE,
        why=_detail,
    ),
    Matter(
        "separation",
        Grade.WARNING,
        gettext_lazy("Processes have no users of their own"),
        gettext_lazy("See system health"),
        "dashboard:home",
        Right.CONFIGURATION_MANAGE,
        query="#health",
        why=_separation,
    ),
    Matter(
        "administrators",
        Grade.WARNING,
        gettext_lazy("Fewer than two administrators are active"),
        gettext_lazy("Open users"),
        "accounts:users",
        Right.USER_MANAGE,
        why=_advice(gettext_lazy("No single person should control the console.")),
        sees=Right.USER_MANAGE,
    ),
    # --- Work ---
    Matter(
        "schedule-held",
        Grade.CRITICAL,
        gettext_lazy("Scheduled rotations are held"),
        gettext_lazy("Open schedule"),
        "operations:schedule",
        Right.KEY_ROTATE,
        why=_held,
    ),
    Matter(
        "late-rotations",
        Grade.CRITICAL,
        ngettext_lazy("%d rotation is late", "%d rotations are late"),
        gettext_lazy("Show key groups"),
        _KEYS,
        Right.KEY_ROTATE,
        query="?show=late",
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "failed-jobs",
        Grade.CRITICAL,
        ngettext_lazy("%d job failed in the last 7 days", "%d jobs failed in the last 7 days"),
        gettext_lazy("Show failed jobs"),
        _JOBS,
        Right.JOB_CANCEL,
        query="?show=failed&range=7d",
        why=_last_error,
        is_counted=True,
    ),
    Matter(
        "paused-vaults",
        Grade.CRITICAL,
        ngettext_lazy("%d vault does not answer: its jobs wait", "%d vaults do not answer: their jobs wait"),
        gettext_lazy("Open credentials"),
        _CREDENTIALS,
        Right.CREDENTIAL_MANAGE,
        why=_last_error,
        is_counted=True,
    ),
    Matter(
        "missing-versions",
        Grade.CRITICAL,
        ngettext_lazy("%d version is missing in its vault", "%d versions are missing in their vaults"),
        gettext_lazy("Show keys"),
        _KEYS,
        Right.KEY_PUSH,
        query="?show=missing",
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "drift",
        Grade.CRITICAL,
        ngettext_lazy("%d key group differs from its vault", "%d key groups differ from their vaults"),
        gettext_lazy("Show key groups"),
        _KEYS,
        Right.KEY_DISABLE,
        query="?show=drift",
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "expiring-versions",
        Grade.WARNING,
        ngettext_lazy("%d active version expires within 30 days", "%d active versions expire within 30 days"),
        gettext_lazy("Show keys"),
        _KEYS,
        Right.KEY_ROTATE,
        query="?show=expiring",
        why=_expires,
        is_counted=True,
    ),
    Matter(
        "keks",
        Grade.WARNING,
        ngettext_lazy("%d ephemeral KEK may be left over in a vault", "%d ephemeral KEKs may be left over in a vault"),
        gettext_lazy("Show log"),
        "logs:list",
        Right.KEY_PUSH,
        query="?service=azure&category=kek",
        why=_named_with_detail,
        sees=Right.LOG_READ,
        is_counted=True,
    ),
    # --- Credentials and vaults ---
    Matter(
        "failing-credentials",
        Grade.CRITICAL,
        ngettext_lazy("%d connection test failed", "%d connection tests failed"),
        gettext_lazy("Open credentials"),
        _CREDENTIALS,
        Right.CREDENTIAL_MANAGE,
        query="?show=failing",
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "expiring-secrets",
        Grade.WARNING,
        ngettext_lazy(
            "%d secret or certificate expires within 30 days", "%d secrets or certificates expire within 30 days"
        ),
        gettext_lazy("Open credentials"),
        _CREDENTIALS,
        Right.CREDENTIAL_MANAGE,
        query="?show=expiring",
        why=_named_with_detail,
        is_counted=True,
    ),
    Matter(
        "untested-credentials",
        Grade.INFO,
        ngettext_lazy("%d credential was never tested", "%d credentials were never tested"),
        gettext_lazy("Open credentials"),
        _CREDENTIALS,
        Right.CREDENTIAL_MANAGE,
        query="?show=untested",
        why=name_some,
        is_counted=True,
    ),
    Matter(
        "unseen-vaults",
        Grade.INFO,
        ngettext_lazy("%d vault was never reached", "%d vaults were never reached"),
        gettext_lazy("Open credentials"),
        _CREDENTIALS,
        Right.CREDENTIAL_MANAGE,
        query="?show=unseen",
        why=name_some,
        is_counted=True,
    ),
)
MATTERS: dict[str, Matter] = {matter.name: matter for matter in _ALL}
