"""What has to be typed or chosen before a job starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import CloudCredential, KeyVault
from jobs.approvals.models import MAX_REASON
from jobs.confirmation.name_pattern import MAX_NUMBER, expand_names
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget
from keygroups.fields import MAX_KEY_NAME, MAX_NAME
from kmes.core.errors import InputError
from kmes.core.ids import new_uuid

# Of a thousand keys, one name a line.
MAX_NAMES_TEXT = 1000 * (MAX_KEY_NAME + 2)


@dataclass(frozen=True)
class FormInput:
    """What a confirmation's form is made from. ``data`` is None for a first look."""

    data: QueryDict | None
    plan: Plan
    target: StartTarget
    # How names of several keys are asked for: one a line ("1"), or by a "pattern"; "" for one name.
    several: str


class StartForm(forms.Form):
    """What is sent when a job is started; the key makes a doubled submit one job."""

    # Whether its fields stand above what will happen, because they are what the job is about.
    asks_first = False
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"idempotency_key": new_uuid()})

    def asked_fields(self) -> list[forms.BoundField]:
        """Return the fields that a kind asks for; the name that confirms stands by itself, at the end."""
        return [field for field in self.visible_fields() if field.name != "typed"]


def ask_for_reason(form: StartForm, *, is_required: bool = True) -> None:
    """Ask why the job is to run, for those who approve it. Where it depends on what is chosen, the service demands it."""
    told = _now("Approvers read it, and the log keeps it.")
    form.fields["reason"] = forms.CharField(
        label=_now("Reason"),
        max_length=MAX_REASON,
        required=is_required,
        # A reason that may be needed is not called optional: the widget itself says that it is not required.
        widget=forms.Textarea(attrs={"rows": 2, **({} if is_required else {"required": False})}),
        help_text=told if is_required else f"{_now('Needed for what others have to approve.')} {told}",
        error_messages={"required": _now("Approvers need a reason. Say why this is to be done.")},
    )


class ConnectionTestForm(StartForm):
    """Asks on which vault the key permissions are tried; the vaults are those known through the credential."""

    vault = forms.ModelChoiceField(
        KeyVault.objects.none(),
        label=_("Key Vault"),
        required=False,
        empty_label=_("none: sign-in and Resource Manager only"),
        help_text=_("Each key permission is tried on this vault with calls that leave nothing behind."),
    )

    def __init__(
        self, data: QueryDict | None = None, *, credential: CloudCredential, chosen: KeyVault | None = None
    ) -> None:
        super().__init__(data)
        field: Any = self.fields["vault"]
        vaults = field.queryset = credential.vaults.order_by("name")
        field.initial = chosen or vaults.filter(tier="premium").first() or vaults.first()
        if not vaults.exists():
            field.help_text = _now("No vault is known yet. List Key Vaults finds those the credential may see.")


class NamesForm(StartForm):
    """Asks for the names of new keys: one, or one a line."""

    asks_first = True
    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAMES_TEXT,
        # What else is wrong with a name is said by the service.
        error_messages={"required": _("The key needs a name. Type any name.")},
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def __init__(self, data: QueryDict | None = None, *, several: bool = False) -> None:
        super().__init__(data)
        field = self.fields["name"]
        field.widget.attrs["maxlength"] = MAX_KEY_NAME
        if several:
            field.label = _now("Names")
            field.help_text = _now("One key a line.")
            field.widget = forms.Textarea(attrs={"rows": 6, "autofocus": True, "spellcheck": "false"})

    def names(self) -> list[str]:
        """Return the names typed; empty lines between them don't count."""
        lines = str(self.cleaned_data["name"]).splitlines()
        return [line for line in lines if line.strip()] or [""]


class PatternForm(StartForm):
    """Asks for the names of many new keys by a pattern and the numbers that it is filled with."""

    asks_first = True
    pattern = forms.CharField(
        label=_("Pattern"),
        max_length=MAX_KEY_NAME,
        help_text=_("{n} stands for the number; {n:02} writes it with two digits: tde-{n:02}."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True, "spellcheck": "false"}),
    )
    first = forms.IntegerField(label=_("From"), initial=1, min_value=0, max_value=MAX_NUMBER)
    last = forms.IntegerField(label=_("To"), initial=20, min_value=0, max_value=MAX_NUMBER)

    def clean(self) -> dict[str, Any]:
        """Refuse a pattern that gives no names, at the field that is to blame."""
        data: dict[str, Any] = super().clean() or {}
        if {"pattern", "first", "last"} <= data.keys():
            try:
                data["names"] = expand_names(data["pattern"], data["first"], data["last"])
            except InputError as error:
                self.add_error(error.field, str(error))
        return data

    def names(self) -> list[str]:
        """Return the names that the pattern gives."""
        return list(self.cleaned_data["names"])


class TypedNameForm(StartForm):
    """Asks for the object's name before what can't be undone."""

    typed = forms.CharField(
        max_length=MAX_NAME,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )

    def __init__(self, data: QueryDict | None = None, *, expected: str) -> None:
        super().__init__(data)
        self.expected = expected
        self.fields["typed"].label = _now("Type “%(name)s” to confirm") % {"name": expected}
        self.fields["typed"].error_messages["required"] = self._refusal()

    def _refusal(self) -> str:
        return _now("Type the name exactly as it is shown: %(name)s") % {"name": self.expected}

    def clean_typed(self) -> Any:
        """Compare with the name, to the letter."""
        if self.cleaned_data["typed"] != self.expected.strip():
            raise forms.ValidationError(self._refusal(), code="differs")
        return self.cleaned_data["typed"]


def plain_form(given: FormInput) -> StartForm:
    """Return the bare button."""
    return StartForm(given.data)


def typed_name_form(given: FormInput) -> StartForm:
    """Return the form that asks for the name the plan wants typed; the bare button when it wants none."""
    if not given.plan.typed:
        return StartForm(given.data)
    return TypedNameForm(given.data, expected=given.plan.typed)
