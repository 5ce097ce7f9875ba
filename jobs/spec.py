"""What a kind of job is. One ``JobSpec`` holds every decision about a kind; ``jobs.kinds`` has one per kind.

Also holds the registry of the kinds, which is handed in at start-up (``jobs.apps``). Engine and pages ask here
and import no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.confirmation.forms import FormInput, StartForm
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget
from jobs.models import Job
from jobs.titles import add_title
from kmes.accounts.rights import Right
from kmes.ui.actions import Target

Text = str | Promise
# Arguments that every request for a job takes: ``actor`` and ``idempotency_key``.
Given = dict[str, Any]


class Scope(Enum):
    """What a job of a kind works on."""

    # Some keys: its log counts them, and each has a result of its own.
    KEYS = "keys"
    # The Azure key with all its versions: no key of its group may be pushed or destroyed meanwhile.
    AZURE_KEY = "azure key"
    # Neither: a credential, the device, or a look that changes nothing.
    NO_KEY = "no key"


@dataclass(frozen=True)
class Wording:
    """One verb in the forms that a job's log needs.

    Lines are the original console's, to the letter (docs/console.md). They are kept in English, as all that is
    recorded (``kmes.core.language``), and are not translated.
    """

    progressive: str
    past: str
    infinitive: str

    def start(self, count: int) -> str:
        """Return the first line of the job's log."""
        return f"{self.progressive} {count} HSM protected key(s)..."

    def one_done(self, name: str) -> str:
        """Return the line about one key that went well."""
        return f"{self.past} HSM protected key {name}"

    def all_done(self, count: int) -> str:
        """Return the last line of a job that went well."""
        return f"Successfully {self.past.lower()} {count} HSM protected key(s)"

    def one_failed(self, name: str, reason: str) -> str:
        """Return the line about one key that failed; the reason says what to do."""
        return f"Failed to {self.infinitive} HSM protected key {name}: {reason}"


@dataclass(frozen=True)
class Step:
    """A visible step: the name that rows hold, and its label. An alternative replaces the step before it."""

    name: str
    label: Text
    is_alternative: bool = False


@dataclass(frozen=True, kw_only=True)
class MenuEntry:
    """One entry that starts a kind of job from the menu of an object.

    Attributes:
        target: the kind of object in whose menu it stands.
        name: unique among the entries of that menu.
        query: the part of the start page's address that names the object.
        why_not: says why it can't be started now; "" when it can.
        submenu: label of the submenu, "" for none.
        page: name of the page that confirms it.

    """

    target: Target
    name: str
    label: Text | Callable[[Any], str]
    order: int
    query: Callable[[Any], Mapping[str, Any]]
    why_not: Callable[[Any], str]
    submenu: Text
    danger: bool = False
    page: str = "jobs:start"


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """How a kind of job is confirmed on a page and started.

    Attributes:
        needs: parts of the address of which one must be there; none for a kind that is about nothing in particular.
        is_complete: whether what the address names is enough, beyond ``needs``.
        plan: says what will happen.
        form: makes the form.
        start: asks for the job.

    """

    needs: tuple[str, ...]
    is_complete: Callable[[StartTarget], bool]
    plan: Callable[[StartTarget], Plan]
    form: Callable[[FormInput], StartForm]
    start: Callable[[StartTarget, Any, Given], Job]


@dataclass(frozen=True)
class RemovalPage:
    """The kind is confirmed on the page that removes a group's keys, with this scope chosen."""

    scope: str


@dataclass(frozen=True, kw_only=True)
class Approval:
    """How a kind of job is approved by others, where a policy asks for it (docs/approvals.md).

    Attributes:
        label: the action that a policy is about; None for a kind whose jobs are under policies of other kinds.
        actions: the kinds of whose policies a job needs the approvals, as far as it is not the job of a chain.
        expected: the same of a job that a page is about to start.
        plan: says what the job does, from rows alone, so that it reads the same for as long as they do.
        allows_break_glass: whether a policy may let its requester go on alone in an emergency.
        is_applied_by_requester: whether no worker does it: once approved, it waits until its requester applies it.
        changed_scope: of a job that changes a policy, kind and value of that policy's scope.

    """

    label: Text | None
    actions: Callable[[Job], tuple[str, ...]]
    expected: Callable[[StartTarget], tuple[str, ...]]
    plan: Callable[[Job], Plan]
    allows_break_glass: bool = True
    is_applied_by_requester: bool = False
    changed_scope: Callable[[Job], tuple[str, str]] | None = None


def always(*actions: str) -> Callable[[object], tuple[str, ...]]:
    """Return what names these actions, whatever it is asked about."""
    return lambda _about: actions


# Opens a kind of job as the next of a chain: (job before, own link, links that follow, given). None: nothing to do.
Follow = Callable[[Job, dict[str, Any], list[dict[str, Any]], Given], Job | None]


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """All that is decided about one kind of job. Nothing has a default, so nothing can be forgotten.

    Attributes:
        kind: the value that rows hold; never changes.
        title: the original console's title of such a job (docs/console.md).
        right: what whoever asks for it, or retries it, must be allowed.
        wording: verbs of the log's lines.
        counts_keys: whether the log's first and last line count keys.
        steps: the steps it goes through when none is left out.
        scope: what it works on.
        holds_azure_key: whether it holds its group's Azure key while it runs; one job does at a time.
        blocks_group: whether an open one blocks other jobs on its key group.
        pushes_keys: whether it brings keys into the vault.
        failpoints: the first part of the names of its failpoints.
        menu: the menu entries that start it.
        confirmation: how it is started from a page; None: people don't start it.
        left_by_cancel: says what a cancel leaves behind once it has begun.
        retry: asks for the job that does what a failed one left undone; None: it is not retried by hand.
        follow: opens it as the next job of a chain; None: it never is one.
        approval: how others approve it; None: no policy can ask for that.
        runner: the path of its ``engine.runner.Runner``. Only a worker loads it: it reaches the device.

    """

    kind: str
    title: Text
    right: Right
    wording: Wording
    counts_keys: bool
    steps: tuple[Step, ...]
    scope: Scope
    holds_azure_key: bool
    blocks_group: bool
    pushes_keys: bool
    failpoints: str
    menu: tuple[MenuEntry, ...]
    confirmation: Confirmation | RemovalPage | None
    left_by_cancel: Callable[[], str]
    retry: Callable[[Job, Given], Job] | None
    follow: Follow | None
    approval: Approval | None
    runner: str

    @property
    def step_count(self) -> int:
        """How many steps it goes through when none is left out."""
        return sum(not step.is_alternative for step in self.steps)


# --- The registry ----------------------------------------------------------------------------
class UnknownKind(LookupError):
    """No spec of this kind: a worker of a later release made the job."""


@dataclass
class Registry:
    """The kinds that this process knows."""

    _specs: dict[str, JobSpec] = field(default_factory=dict)

    def add(self, *specs: JobSpec) -> None:
        """Add kinds; the same kind again replaces the entry."""
        for spec in specs:
            self._specs[spec.kind] = spec
            add_title(spec.kind, spec.title)

    def remove(self, kind: str) -> None:
        """Take a kind out."""
        del self._specs[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._specs

    def __iter__(self) -> Iterator[JobSpec]:
        return iter(self._specs.values())

    def __getitem__(self, kind: str) -> JobSpec:
        try:
            return self._specs[kind]
        except KeyError as error:
            raise UnknownKind(kind) from error

    def find(self, kind: str) -> JobSpec | None:
        """Return the spec of a kind, None when this release doesn't know it."""
        return self._specs.get(kind)

    def right_for(self, job: Job) -> Right:
        """Return the right needed to request or retry a job; for many key groups, the right for the action on each.

        Raises:
            UnknownKind: this release doesn't know the kind.

        """
        return (self.find(job.work_kind) or self[job.kind]).right

    def kinds_where(self, is_wanted: Callable[[JobSpec], bool]) -> list[str]:
        """Return the kinds whose spec is wanted, for queries."""
        return [spec.kind for spec in self if is_wanted(spec)]

    def is_applied_by_requester(self, job: Job) -> bool:
        """Return whether no worker does the job, but its requester once it is approved."""
        spec = self.find(job.kind)
        return spec is not None and spec.approval is not None and spec.approval.is_applied_by_requester

    def choices(self) -> list[tuple[str, Text]]:
        """Return kinds and titles, for a form's field."""
        return [(spec.kind, spec.title) for spec in self]


registry = Registry()


def install(specs: Iterable[JobSpec]) -> None:
    """Hand in the kinds. Called once, at start-up."""
    registry.add(*specs)


def step_label(name: str) -> str:
    """Return what a step is called on the page; a name that no kind knows is shown as words."""
    found = next((step.label for spec in registry for step in spec.steps if step.name == name), None)
    return str(found or name.replace("_", " ").capitalize())


# --- What several kinds leave behind when they are cancelled ----------------------------------
def leaves_nothing() -> str:
    """Say so of a job that only looks."""
    return str(_("It changes nothing in the vault, so nothing is left behind."))


def leaves_one_call() -> str:
    """Say so of a job that changes the vault by one call."""
    return str(_("What was sent to Azure already can't be taken back: the vault may have done it."))
