"""Forms of starting jobs: what a job is asked about, and what has to be typed before it starts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import CloudCredential, KeyVault
from jobs.pages.removal import Choice, needs_typing
from jobs.services import MAX_KEY_NAME
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from kmes.core.ids import new_uuid


def _groups() -> QuerySet[KeyGroup]:
    return KeyGroup.objects.select_related("vault", "credential").defer("credential__sealed_secret")


def _keys() -> QuerySet[Key]:
    related = Key.objects.select_related("group__vault", "group__credential")
    return related.defer("wrapped_private", "public_spki", "group__credential__sealed_secret")


def _versions() -> QuerySet[CloudVersion]:
    related = CloudVersion.objects.select_related("key", "vault", "group__vault", "group__credential")
    return related.defer("key__wrapped_private", "key__public_spki", "group__credential__sealed_secret")


def _observations() -> QuerySet[Observation]:
    related = Observation.objects.select_related("group__vault", "group__credential", "version__key")
    return related.defer("version__key__wrapped_private", "group__credential__sealed_secret")


class AskedForm(forms.Form):
    """Reads what a job is about from the address: ``group``, ``key`` (repeated), ``version``, and so on."""

    group = forms.ModelChoiceField(KeyGroup.objects.none(), required=False)
    key = forms.ModelMultipleChoiceField(Key.objects.none(), required=False)
    version = forms.ModelChoiceField(CloudVersion.objects.none(), required=False)
    observation = forms.ModelMultipleChoiceField(Observation.objects.none(), required=False)
    credential = forms.ModelChoiceField(CloudCredential.objects.none(), required=False)
    vault = forms.ModelChoiceField(KeyVault.objects.none(), required=False)
    enabled = forms.TypedChoiceField(
        choices=[("0", "0"), ("1", "1")], coerce=lambda value: value == "1", empty_value=None, required=False
    )

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        for name, rows in (
            ("group", _groups()),
            ("key", _keys()),
            ("version", _versions()),
            ("observation", _observations()),
            ("credential", CloudCredential.objects.defer("sealed_secret")),
            ("vault", KeyVault.objects.all()),
        ):
            self.fields[name].queryset = rows  # type: ignore[attr-defined]


class StartForm(forms.Form):
    """What is sent when a job is started; the key makes a doubled submit one job."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"idempotency_key": new_uuid()})


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

    name = forms.CharField(
        label=_("Name"),
        # What else is wrong with a name is said by the service.
        error_messages={"required": _("The key needs a name. Type any name.")},
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True, "maxlength": MAX_KEY_NAME}),
    )

    def __init__(self, data: QueryDict | None = None, *, several: bool = False) -> None:
        super().__init__(data)
        if several:
            field = self.fields["name"]
            field.label = _now("Names")
            field.help_text = _now("One key a line.")
            field.widget = forms.Textarea(attrs={"rows": 6, "autofocus": True, "spellcheck": "false"})

    def names(self) -> list[str]:
        """Return the names typed; empty lines between them don't count."""
        lines = str(self.cleaned_data["name"]).splitlines()
        return [line for line in lines if line.strip()] or [""]


class TypedNameForm(StartForm):
    """Asks for the object's name before what can't be undone."""

    typed = forms.CharField(
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"})
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


class RemovalForm(StartForm):
    """Asks where a group's keys are removed and how; the name is typed before what can't be undone."""

    scope = forms.ChoiceField(error_messages={"required": _("Choose where to delete: local, cloud or both.")})
    way = forms.ChoiceField(required=False)
    stop_rotation = forms.BooleanField(
        label=_("Switch Rotate Key off"),
        required=False,
        initial=True,
        help_text=_("Else the next rotation makes a new key and pushes it."),
    )
    typed = forms.CharField(
        required=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "required": False}
        ),
    )

    def __init__(
        self, data: QueryDict | None, *, group: KeyGroup, scopes: list[Choice], ways: list[Choice], wanted: str
    ) -> None:
        super().__init__(data)
        self.expected = group.name
        for name, choices in (("scope", scopes), ("way", ways)):
            field: Any = self.fields[name]
            field.choices = [(each.value, each.label) for each in choices if not each.reason]
            open_values = [value for value, _label in field.choices]
            self.initial[name] = wanted if wanted in open_values else next(iter(open_values), "")
        self.fields["typed"].label = _now("Type “%(name)s” to confirm") % {"name": group.name}
        self.fields["typed"].help_text = _now("Asked for wherever something can't be undone.")
        if not group.rotate:
            del self.fields["stop_rotation"]

    def clean(self) -> dict[str, Any]:
        """Ask for the name where the chosen way can't be undone."""
        chosen: dict[str, Any] = self.cleaned_data
        chosen.setdefault("stop_rotation", False)
        chosen["way"] = chosen.get("way") or "soft"
        way = chosen["way"] if chosen.get("scope") in {"cloud", "both"} else ""
        if needs_typing(chosen.get("scope", ""), way) and chosen.get("typed") != self.expected.strip():
            refusal = _now("Type the name exactly as it is shown: %(name)s") % {"name": self.expected}
            self.add_error("typed", forms.ValidationError(refusal, code="differs"))
        return chosen
