"""The form of the settings of company sign-on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts.company_sign_on import transport
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.role_mapping import may_be_without_group
from kmes.accounts.company_sign_on.services import ProviderValues
from kmes.accounts.roles.selectors import role_names, role_rights
from kmes.core.errors import InputError, KmesError
from kmes.core.secret_types import SecretText

MAX_SECRET, MAX_GROUPS_TEXT, MAX_FACTOR_VALUES_TEXT = 512, 8000, 500
MAX_GROUP, MAX_GROUPS = 256, 200
_CLAIM = re.compile(r"[A-Za-z0-9_:./-]+")
# What a scope may hold (RFC 6749, section 3.3).
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_SECRET = re.compile(r"[\x20-\x7e]*")
DEFAULTS = {
    "scopes": "openid profile email",
    "username_claim": "preferred_username",
    "groups_claim": "groups",
}
_PLAIN = forms.TextInput({"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"})


class ProviderForm(forms.Form):
    """The identity provider, and what its groups may do here."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64, help_text=gettext_lazy("Shown on the button: “Sign in with NAME”.")
    )
    issuer = forms.CharField(
        label=gettext_lazy("Issuer"),
        max_length=255,
        widget=_PLAIN,
        help_text=gettext_lazy("The https address as the provider writes it itself. Its metadata is read from there."),
    )
    client_id = forms.CharField(label=gettext_lazy("Client ID"), max_length=255, widget=_PLAIN)
    client_secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        max_length=MAX_SECRET,
        required=False,
        widget=forms.PasswordInput({"autocomplete": "off"}),
        help_text=gettext_lazy("It is stored encrypted, for this issuer and client alone, and never shown."),
    )
    scopes = forms.CharField(label=gettext_lazy("Scopes"), max_length=255, widget=_PLAIN)
    username_claim = forms.CharField(label=gettext_lazy("Claim with the user name"), max_length=64, widget=_PLAIN)
    groups_claim = forms.CharField(label=gettext_lazy("Claim with the groups"), max_length=64, widget=_PLAIN)
    unmatched_role = forms.ChoiceField(label=gettext_lazy("Users in none of these groups"), required=False)
    factor_values = forms.CharField(
        label=gettext_lazy("Words for a second factor"),
        max_length=MAX_FACTOR_VALUES_TEXT,
        required=False,
        widget=_PLAIN,
        help_text=gettext_lazy(
            "Values of the claims amr or acr, such as mfa. A sign-in with one of them counts as with a second factor."
        ),
    )
    may_link = forms.BooleanField(
        label=gettext_lazy("Link existing users of the same name"),
        required=False,
        help_text=gettext_lazy(
            "Whoever can choose a name at the provider becomes that user here. Switch it off again after the change-over."
        ),
    )
    are_local_for_emergencies = forms.BooleanField(
        label=gettext_lazy("Passwords of this console are for emergencies only"),
        required=False,
        help_text=gettext_lazy("They still work, but each such sign-in is an alarm."),
    )
    signs_out_there = forms.BooleanField(
        label=gettext_lazy("Signing out here leads to the sign-out at the provider"),
        required=False,
        help_text=gettext_lazy("For sessions that began there, if it names an end session endpoint."),
    )
    is_enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False)

    def __init__(
        self, data: Any = None, *, provider: SignOnProvider | None = None, shown: SignOnProvider | None = None
    ) -> None:
        self.provider = provider
        self.roles = role_names()
        # ``shown`` are settings that others approved, in place of the stored ones.
        super().__init__(data, initial=_initial(shown or provider, self.roles))
        for code, name in self.roles.items():
            self.fields[f"groups_{code}"] = forms.CharField(
                label=_("Groups of the role %(role)s") % {"role": name},
                max_length=MAX_GROUPS_TEXT,
                required=False,
                widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
                help_text=_("One name or id a line, exactly as in the claim."),
            )
        held = role_rights()
        roles = [
            (code, _("Sign in as %(role)s") % {"role": name})
            for code, name in self.roles.items()
            if may_be_without_group(held[code])
        ]
        self.fields["unmatched_role"].choices = [("", _("Are refused")), *roles]  # type: ignore[attr-defined]
        self.fields["client_secret"].required = provider is None
        if provider is not None:
            self.fields["client_secret"].help_text = _(
                "One is stored. Left empty, it stays, for this issuer and client."
            )

    def group_fields(self) -> list[forms.BoundField]:
        """Return the fields of the groups, for the template."""
        return [self[f"groups_{code}"] for code in self.roles]

    def clean_issuer(self) -> str:
        """Refuse what is no https address; its host is looked up when it is used."""
        issuer = str(self.cleaned_data["issuer"])
        if "?" in issuer:
            raise ValidationError(_("An issuer has no question mark."))
        try:
            transport.parse(issuer)
        except InputError as error:
            raise ValidationError(str(error)) from error
        return issuer

    def clean_client_secret(self) -> str:
        """Refuse what can't be sent."""
        secret = str(self.cleaned_data["client_secret"])
        if not _SECRET.fullmatch(secret):
            raise ValidationError(_("A client secret has printable ASCII characters only."))
        return secret

    def clean_scopes(self) -> str:
        """Demand the scope of OpenID Connect."""
        scopes = " ".join(str(self.cleaned_data["scopes"]).split())
        if not _SCOPES.fullmatch(scopes) or "openid" not in scopes.split():
            raise ValidationError(_("Enter scopes with spaces between them, openid among them."))
        return scopes

    def clean_username_claim(self) -> str:
        """Refuse what is no claim."""
        return _claim(self.cleaned_data["username_claim"])

    def clean_groups_claim(self) -> str:
        """Refuse what is no claim."""
        return _claim(self.cleaned_data["groups_claim"])

    def clean_factor_values(self) -> list[str]:
        """Return the words."""
        return list(dict.fromkeys(str(self.cleaned_data["factor_values"]).replace(",", " ").split()))

    def clean(self) -> dict[str, Any]:
        """Make one table of the groups; each has one role."""
        cleaned = super().clean() or {}
        found: dict[str, str] = {}
        for role in self.roles:
            for group in filter(None, map(str.strip, cleaned.get(f"groups_{role}", "").splitlines())):
                if found.setdefault(group, role) != role:
                    self.add_error(
                        f"groups_{role}", _("The group “%(group)s” has another role, too.") % {"group": group[:64]}
                    )
                if len(group) > MAX_GROUP:
                    self.add_error(
                        f"groups_{role}", _("A group has %(count)d characters at most.") % {"count": MAX_GROUP}
                    )
        if len(found) > MAX_GROUPS:
            self.add_error(None, _("There are more than %(count)d groups.") % {"count": MAX_GROUPS})
        if cleaned.get("is_enabled") and not found and not cleaned.get("unmatched_role"):
            self.add_error("is_enabled", _("Nobody could sign in. Enter a group of a role first."))
        cleaned["group_roles"] = found
        return cleaned

    def values(self) -> ProviderValues:
        """Return the values of the valid form."""
        cleaned = self.cleaned_data
        return ProviderValues(**{name: cleaned[name] for name in ProviderValues.__dataclass_fields__})

    def secret(self) -> SecretText:
        """Return the client secret that was entered."""
        return SecretText(self.cleaned_data["client_secret"])

    def refuse(self, error: KmesError) -> None:
        """Show a refusal at the field that it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))


def _claim(typed: Any) -> str:
    if not _CLAIM.fullmatch(str(typed)):
        raise ValidationError(_("A claim has letters, digits and _ : . / - only."))
    return str(typed)


def _initial(provider: SignOnProvider | None, roles: Iterable[str]) -> dict[str, Any]:
    if provider is None:
        return dict(DEFAULTS)
    names = (*ProviderForm.base_fields.keys() - {"client_secret", "factor_values"},)
    groups = {role: sorted(group for group, given in provider.group_roles.items() if given == role) for role in roles}
    return {
        **{name: getattr(provider, name) for name in names},
        "factor_values": ", ".join(provider.factor_values),
        **{f"groups_{role}": "\n".join(found) for role, found in groups.items()},
    }
