"""What a removal of a group's keys can be: here, in the cloud, or both; what each takes and leaves; its form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cloudcreds.models import KeyVault
from jobs.confirmation.forms import StartForm
from jobs.confirmation.plan import Fate, count_versions
from jobs.planning import blockers
from keygroups.choices import LIVE_VERSION_STATES, KeyState
from keygroups.fields import MAX_NAME
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right
from kmes.core.clock import now
from kmes.core.right_names import name_right


@dataclass(frozen=True)
class Choice:
    """One way to remove; ``reason`` says why it can't be chosen ("" when it can)."""

    value: str
    label: str
    help: str
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """A row of the matrix: a thing, and what becomes of it if removed here, in the cloud, or both."""

    thing: str
    fates: list[Fate]


def scopes(group: KeyGroup, user: Any) -> list[Choice]:
    """Return where keys can be removed, with the reason against each."""
    local, cloud = _against_local(group, user), _against_cloud(group, user)
    return [
        Choice("local", _("Local"), _("Destroy the key material here. The vault is not touched."), local),
        Choice("cloud", _("Cloud"), _("Delete the Azure key with all its versions. Keys here stay."), cloud),
        Choice("both", _("Both"), _("First in the cloud; here only when the vault has confirmed it."), local or cloud),
    ]


def ways(group: KeyGroup, user: Any) -> list[Choice]:
    """Return how the Azure key is deleted, with the reason against each."""
    vault = group.vault
    if vault.has_soft_delete is False:
        kept = _("This vault has no soft-delete: what is deleted is gone for good.")
    else:
        until = f"{now() + timedelta(days=vault.recoverable_days or 90):%Y-%m-%d}"
        kept = _("Can be recovered by Cloud > Recover until %(date)s; the name stays taken.") % {"date": until}
        if vault.has_soft_delete is None:
            kept += " " + _("The vault was not asked yet; the job looks.")
    against = ""
    if not user.may(Right.CLOUD_PURGE, group):
        against = _("Needs the right “%(right)s”") % {"right": name_right(Right.CLOUD_PURGE)}
    elif vault.is_purge_protected:
        against = _("The vault has purge protection")
    return [
        Choice("soft", _("Soft-delete"), kept),
        Choice("purge", _("Delete and purge"), _("Gone for good at once; nobody can recover it."), against),
    ]


def _against_local(group: KeyGroup, user: Any) -> str:
    if not user.may(Right.KEY_DESTROY, group):
        return _("Needs the right “%(right)s”") % {"right": name_right(Right.KEY_DESTROY)}
    situation = blockers.situation_of_group(group)
    if not situation.present_keys:
        return _("The group has no key material here")
    return blockers.busy_text(situation.open_job)


def _against_cloud(group: KeyGroup, user: Any) -> str:
    if not user.may(Right.CLOUD_DELETE, group):
        return _("Needs the right “%(right)s”") % {"right": name_right(Right.CLOUD_DELETE)}
    return blockers.why_not_delete(group)


def matrix(group: KeyGroup) -> list[Line]:
    """Return what becomes of each thing: removed here, in the cloud, or both."""
    keys = group.keys.filter(state=KeyState.PRESENT).count()
    versions = count_versions(group, LIVE_VERSION_STATES)
    stays, gone, kept = _("stay"), _("destroyed for good"), _describe_deleted(group.vault)
    back = _("synchronize the keys again, or recover")
    return [
        Line(
            ngettext("%(count)d key's material here", "%(count)d keys' material here", keys) % {"count": keys},
            _fates((gone, "bad"), (_("stay, and can be synchronized again"), "good"), (gone, "bad")),
        ),
        Line(
            versions,
            _fates((stays, "good"), (kept, "warning"), (kept, "warning")),
        ),
        Line(
            _("Applications that use the key"),
            _fates((_("go on"), "good"), (_("stop at once"), "bad"), (_("stop at once"), "bad")),
        ),
        Line(
            _("How to recover"),
            _fates(
                (_("the material can't be recovered; the versions keep working"), "warning"),
                (back, "good"),
                (_("recover only, while it lasts"), "warning"),
            ),
        ),
        Line(_("Public halves, history and log rows"), _fates((stays, "good"), (stays, "good"), (stays, "good"))),
    ]


def _describe_deleted(vault: KeyVault) -> str:
    """Return what becomes of versions that are deleted in the vault."""
    if vault.has_soft_delete is False:
        return _("gone for good: the vault has no soft-delete")
    if vault.has_soft_delete is None:
        return _("deleted; recoverable if the vault soft-deletes")
    until = now() + timedelta(days=vault.recoverable_days or 90)
    return _("deleted, recoverable until %(date)s unless purged") % {"date": f"{until:%Y-%m-%d}"}


def _fates(*fates: tuple[str, str]) -> list[Fate]:
    return [Fate("", outcome, colour) for outcome, colour in fates]


def can_be_undone(scope: str, way: str) -> bool:
    """Return whether what is removed can be brought back."""
    return scope == "cloud" and way == "soft"


class RemovalForm(StartForm):
    """Asks where a group's keys are removed and how, and for the group's name.

    ``asks_always``: the name is asked for also where what is removed can be brought back, because the use of the key ends
    all the same. A request without the field comes from a script that an earlier release served, and is taken then.
    """

    scope = forms.ChoiceField(
        error_messages={"required": gettext_lazy("Choose where to delete: local, cloud or both.")}
    )
    way = forms.ChoiceField(required=False)
    stop_rotation = forms.BooleanField(
        label=gettext_lazy("Switch Rotate Key off"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Otherwise the next rotation makes a new key and pushes it."),
    )
    typed = forms.CharField(
        required=False,
        max_length=MAX_NAME,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "required": False}
        ),
    )

    def __init__(
        self,
        data: QueryDict | None,
        *,
        group: KeyGroup,
        scopes: list[Choice],
        ways: list[Choice],
        wanted: str,
        asks_always: bool = True,
    ) -> None:
        super().__init__(data)
        self.expected, self.asks_always = group.name, asks_always
        for name, choices in (("scope", scopes), ("way", ways)):
            field: Any = self.fields[name]
            field.choices = [(each.value, each.label) for each in choices if not each.reason]
            open_values = [value for value, _label in field.choices]
            self.initial[name] = wanted if wanted in open_values else next(iter(open_values), "")
        self.fields["typed"].label = _("Type “%(name)s” to confirm") % {"name": group.name}
        if not group.rotate:
            del self.fields["stop_rotation"]

    def clean(self) -> dict[str, Any]:
        """Ask for the name."""
        chosen: dict[str, Any] = self.cleaned_data
        chosen.setdefault("stop_rotation", False)
        chosen["way"] = chosen.get("way") or "soft"
        is_asked = self.asks_always and "typed" in self.data
        is_asked = is_asked or not can_be_undone(chosen.get("scope", ""), chosen["way"])
        if is_asked and chosen.get("typed") != self.expected.strip():
            refusal = _("Type the name exactly as it is shown: %(name)s") % {"name": self.expected}
            self.add_error("typed", forms.ValidationError(refusal, code="differs"))
        return chosen
