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
        apply: does it, by the function that pages call where no policy holds; None where ``form`` does.
        form: the address of the form that does it, filled in, for a change with a secret, which is entered only then.
        lock: locks the rows that ``describe`` reads, within the transaction that applies it.
        about: the key group or vault that it is about, by the name of the job's field, for rights that a scope can give.

    """

    name: str
    action: str
    describe: Callable[[Mapping[str, Any]], Description]
    apply: Callable[[Mapping[str, Any], Actor], Applied] | None = None
    form: Callable[[Mapping[str, Any]], str] | None = None
    lock: Callable[[Mapping[str, Any], Actor], object] = lambda _values, _actor: None
    about: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _values: {}


class ApprovalNeeded(Exception):
    """A policy asks for approvals. Nothing was changed; the view makes the request for them."""

    def __init__(self, change: Change, *, reason: str) -> None:
        super().__init__(change.operation)
        self.change, self.reason = change, reason


@dataclass
class _Registry:
    operations: dict[str, Operation] = field(default_factory=dict)
    labels: dict[str, str | Promise] = field(default_factory=dict)
    # Says in sentences whose approvals an action needs; nothing where no policy holds.
    needed: Callable[[str], list[str]] = lambda _action: []
    # Ends the approved request of this change, within the transaction that makes it; False where there is none.
    use_approved: Callable[[Change, Actor], bool] = lambda _change, _actor: False
    # Returns the values of a user's request, by its code and the name of the operation.
    find_values: Callable[[str, str, int | None], Mapping[str, Any]] = lambda _code, _name, _user_id: {}
    # Says whether a user's request, by its code and action, has its approvals and waits to be applied.
    is_approved: Callable[[str, str, int | None], bool] = lambda _code, _action, _user_id: False


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


def connect(
    *,
    needed: Callable[[str], list[str]],
    use_approved: Callable[[Change, Actor], bool],
    find_values: Callable[[str, str, int | None], Mapping[str, Any]],
    is_approved: Callable[[str, str, int | None], bool],
) -> None:
    """Have these functions asked, which know policies and requests."""
    _registry.needed, _registry.use_approved = needed, use_approved
    _registry.find_values, _registry.is_approved = find_values, is_approved


def approvals_needed(action: str) -> list[str]:
    """Return in sentences whose approvals an action needs; nothing where no policy holds."""
    return _registry.needed(action)


def values_of_request(code: str, operation: str, *, user_id: int | None) -> Mapping[str, Any]:
    """Return what a user's request for this operation asks for, to fill in its form; nothing where there is none."""
    return _registry.find_values(code, operation, user_id) if code else {}


def has_approved_request(code: str, action: str, *, user_id: int | None) -> bool:
    """Return whether a user's request for this action has its approvals and waits to be applied."""
    return bool(code) and _registry.is_approved(code, action, user_id)


def list_changes(
    labels: Mapping[str, object], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return the values that differ, each with its label, as "old → new"."""
    return [
        (str(label), f"{in_words(before.get(name))} → {in_words(after.get(name))}")
        for name, label in labels.items()
        if before.get(name) != after.get(name)
    ]


def in_words(value: object) -> str:
    """Return a value as a plan shows it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None or value == "" else str(value)


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

    What no user does passes: commands, which the owner of the files runs, and company sign-on. Call it in the transaction
    of the change.

    Raises:
        ApprovalNeeded: a policy asks for approvals.
        InputError: it does, and the form gave no reason.
        ConflictError: it does, and this is no place to ask for them.

    """
    change = Change(operation, dict(values))
    if actor.user_id is None or _approved.get() == change:
        return
    found = find_operation(operation)
    if not approvals_needed(found.action) or (found.form is not None and _registry.use_approved(change, actor)):
        return
    reason = _reason.get()
    if reason is None:
        raise ConflictError(_("A policy asks for approvals of this."), _("Do it on its own page, with a reason."))
    if not reason.strip():
        raise InputError(_("Approvers need a reason. Say why this is to be done."), field=REASON)
    raise ApprovalNeeded(change, reason=reason)
