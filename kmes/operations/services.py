"""Writes of operations: choosing options."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.accounts.rights import Right, check
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.options import OPTIONS, value
from kmes.operations.models import StoredOption
from logging_reports.services import record


def read_option(name: str) -> int | None:
    """Return the chosen value of an option, None if there is none: one query."""
    return StoredOption.objects.filter(pk=name).values_list("value", flat=True).first()


def choose_options(*, values: dict[str, int], actor: Actor) -> list[str]:
    """Choose values of options. Return the names of those that changed.

    Raises:
        ConflictError: the environment sets one of them.
        InputError: a value is outside its limits.

    """
    check(actor, Right.CONFIGURATION_MANAGE)
    with transaction.atomic():
        changes = {name: [value(name), chosen] for name, chosen in values.items() if value(name) != chosen}
        for name, (_before, chosen) in changes.items():
            _check_choice(name, chosen)
        if changes:
            asked = {name: chosen for name, (_before, chosen) in changes.items()}
            require_approval("options.choose", asked, actor=actor)
        for name, (_before, chosen) in changes.items():
            _choose(name, chosen, actor)
        if changes:
            text = ", ".join(
                f"{language.recorded(OPTIONS[name].label)}: {before} → {after}"
                for name, (before, after) in changes.items()
            )
            record("configuration.changed", actor=actor, message=text, data={"changes": changes})
    return list(changes)


def _check_choice(name: str, chosen: int) -> None:
    option = OPTIONS[name]
    if option.is_locked:
        raise ConflictError(
            _("“%(option)s” is set by the environment.") % {"option": option.label},
            _("Unset %(setting)s to choose it here.") % {"setting": option.setting},
        )
    if not option.lowest <= chosen <= option.highest:
        raise InputError(
            _("“%(option)s” must be between %(lowest)d and %(highest)d.")
            % {"option": option.label, "lowest": option.lowest, "highest": option.highest},
            field=name,
        )


def _choose(name: str, chosen: int, actor: Actor) -> None:
    StoredOption.objects.update_or_create(
        pk=name, defaults={"value": chosen, "changed_at": now(), "changed_by": actor.name}
    )
