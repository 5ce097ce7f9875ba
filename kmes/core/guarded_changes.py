"""Changes that a policy can make wait for others' approval, although no job of a worker does them.

The function that makes such a change calls ``require_approval`` with all that it was called with. Where a policy asks for
approvals, it raises ``ApprovalNeeded``, of which ``jobs.approvals`` makes a request; the request is applied by the same
function later. Packages register their operations. Knows no policy, and no package above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError

# The name under which a form sends the reason that approvers read.
REASON = "approval_reason"


@dataclass(frozen=True)
class Change:
    """One change: the operation, and what it is done with, as JSON has it. Holds no secret."""

    operation: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a change does, made from rows and the change alone: when they say something else, it is another plan.

    Attributes:
        subject: what is changed.
        title: one line.
        back: the page that shows it.
        facts: names and values, with old and new.

    """

    subject: str
    title: str
    back: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a change that was applied answers: a message and the page that follows, or a page that is shown once."""

    message: str
    page: str
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A kind of change.

    Attributes:
        name: the value that requests hold; never changes.
        action: the action whose policy it is under.
        describe: says what it does.
        apply: does it, by the function that pages call where no policy holds.
        lock: locks the rows that ``describe`` reads, within the transaction that applies it.

    """

    name: str
    action: str
    describe: Callable[[Mapping[str, Any]], Description]
    apply: Callable[[Mapping[str, Any], Actor], Applied]
    lock: Callable[[Mapping[str, Any], Actor], object] = lambda _values, _actor: None


class ApprovalNeeded(Exception):
    """A policy asks for approvals. Nothing was changed; the request for them is made by whoever answers the page."""

    def __init__(self, change: Change, *, reason: str) -> None:
        super().__init__(change.operation)
        self.change, self.reason = change, reason


@dataclass
class _Registry:
    operations: dict[str, Operation] = field(default_factory=dict)
    labels: dict[str, str | Promise] = field(default_factory=dict)
    # Says in sentences whose approvals an action needs; nothing where no policy holds.
    needed: Callable[[str], list[str]] = lambda _action: []


_registry = _Registry()
# The change that is being applied: others have approved it.
_approved: ContextVar[Change | None] = ContextVar("approved_change", default=None)
# The reason that the form of this request sent; None where no request for approval can be made.
_reason: ContextVar[str | None] = ContextVar("approval_reason", default=None)


def register(*operations: Operation) -> None:
    """Add operations."""
    _registry.operations.update({each.name: each for each in operations})


def find_operation(name: str) -> Operation:
    """Return an operation.

    Raises:
        ConflictError: this release does not know it.

    """
    found = _registry.operations.get(name)
    if found is None:
        raise ConflictError(_("This release does not know the change “%(name)s”.") % {"name": name})
    return found


def operations() -> list[Operation]:
    """Return all operations."""
    return list(_registry.operations.values())


def ask_policies(needed: Callable[[str], list[str]]) -> None:
    """Have this function asked which approvals an action needs."""
    _registry.needed = needed


def approvals_needed(action: str) -> list[str]:
    """Return in sentences whose approvals an action needs; nothing where no policy holds."""
    return _registry.needed(action)


@contextmanager
def asking_with(reason: str | None) -> Iterator[None]:
    """Let a request be made of a change that needs approvals, with this reason; with None such a change is refused."""
    token = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(token)


def one_by_one() -> AbstractContextManager[None]:
    """Refuse changes that need approvals, where several objects are acted on: each has a request of its own."""
    return asking_with(None) if _reason.get() is not None else nullcontext()


@contextmanager
def applying(change: Change) -> Iterator[None]:
    """Let this change pass, and no other: it has its approvals."""
    token = _approved.set(change)
    try:
        yield
    finally:
        _approved.reset(token)


def require_approval(operation: str, values: Mapping[str, Any], *, actor: Actor) -> None:
    """Go on if no policy asks for approvals of this change, or if it is the one that has them and is being applied.

    What no user does passes: commands, which the owner of the files runs, and company sign-on.

    Raises:
        ApprovalNeeded: a policy asks for approvals.
        InputError: it does, and the form gave no reason.
        ConflictError: it does, and this is no place to ask for them.

    """
    change = Change(operation, dict(values))
    if actor.user_id is None or _approved.get() == change:
        return
    if not approvals_needed(find_operation(operation).action):
        return
    reason = _reason.get()
    if reason is None:
        raise ConflictError(_("A policy asks for approvals of this."), _("Do it on its own page, with a reason."))
    if not reason.strip():
        raise InputError(_("Approvers need a reason. Say why this is to be done."), field=REASON)
    raise ApprovalNeeded(change, reason=reason)
