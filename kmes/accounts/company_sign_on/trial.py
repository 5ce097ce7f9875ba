"""What the Test button of the settings page finds out about the provider, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts.company_sign_on import completion, documents, identities, role_mapping
from kmes.accounts.company_sign_on.documents import Metadata
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.models import User
from kmes.accounts.roles.selectors import role_name
from kmes.accounts.selectors import find_namesake

_SHOWN = 20
_LABELS = {
    "metadata": gettext_lazy("Metadata"),
    "keys": gettext_lazy("Keys"),
    "signatures": gettext_lazy("Signatures"),
    "pkce": gettext_lazy("PKCE"),
    "scopes": gettext_lazy("Scopes"),
    "issuer in answers": gettext_lazy("Its name in answers"),
    "logout messages": gettext_lazy("Logout messages"),
    "sign-out": gettext_lazy("Sign-out there"),
    "account": gettext_lazy("Account"),
    "user name": gettext_lazy("User name"),
    "groups": gettext_lazy("Groups"),
    "role": gettext_lazy("Role"),
    "second factor": gettext_lazy("Second factor"),
    "user": gettext_lazy("User here"),
    "sign-in": gettext_lazy("Sign-in"),
}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is as it should be, what was seen, and in English why it fails."""

    name: str
    badge: str
    text: str
    detail: str = ""

    @property
    def label(self) -> str:
        """Return the name as the page shows it."""
        return str(_LABELS[self.name])

    @property
    def badge_label(self) -> str:
        """Return the word on the badge."""
        return {"good": _("OK"), "warning": _("Check"), "bad": _("Failed")}[self.badge]


def examine(provider: SignOnProvider) -> list[Finding]:
    """Read what the provider publishes, and say what of it fits."""
    documents.forget()
    try:
        metadata = documents.read_metadata(provider.issuer)
    except SignOnRefused as error:
        return [Finding("metadata", "bad", error.detail, error.detail)]
    found = [Finding("metadata", "good", documents.address_of(provider.issuer))]
    try:
        keys = documents.read_keys(metadata)
        usable = [key for key in keys if any(documents.is_usable(key, each) for each in metadata.algorithms)]
        text = _("%(usable)d of %(count)d keys can be used.") % {"usable": len(usable), "count": len(keys)}
        found.append(Finding("keys", "good" if usable else "bad", text))
    except SignOnRefused as error:
        found.append(Finding("keys", "bad", error.detail, error.detail))
    return [*found, *_examine_metadata(provider, metadata)]


def _examine_metadata(provider: SignOnProvider, metadata: Metadata) -> list[Finding]:
    raw = metadata.raw
    methods, scopes = _list(raw, "code_challenge_methods_supported"), _list(raw, "scopes_supported")
    unknown = sorted(set(provider.scopes.split()) - set(scopes)) if scopes else []
    return [
        Finding("signatures", "good", ", ".join(metadata.algorithms)),
        Finding(
            "pkce",
            "good" if "S256" in methods else "warning",
            "S256"
            if "S256" in methods
            else _("The provider does not say that it checks S256. It is sent all the same."),
        ),
        Finding(
            "scopes",
            "warning" if unknown else "good",
            _("The provider does not name %(scopes)s.") % {"scopes": ", ".join(unknown)}
            if unknown
            else provider.scopes,
        ),
        Finding(
            "issuer in answers",
            "good" if metadata.names_itself else "warning",
            _("Checked (RFC 9207).") if metadata.names_itself else _("The provider does not send it (RFC 9207)."),
        ),
        Finding(
            "logout messages",
            "good" if raw.get("backchannel_logout_supported") is True else "warning",
            _("Supported. Enter the address below at the provider.")
            if raw.get("backchannel_logout_supported") is True
            else _("The provider does not say that it sends any: sessions here end by their own limits."),
        ),
        *_examine_sign_out(provider, metadata),
    ]


def _examine_sign_out(provider: SignOnProvider, metadata: Metadata) -> list[Finding]:
    if not provider.signs_out_there:
        return []
    text = _("The provider names no allowed end session endpoint: signing out ends the session here only.")
    badge = "good" if metadata.end_session_endpoint else "warning"
    return [Finding("sign-out", badge, metadata.end_session_endpoint or text)]


def describe(provider: SignOnProvider, proven: Proven) -> list[Finding]:
    """Say what a sign-in with this account would give, without doing it."""
    name, groups = proven.text(provider.username_claim), proven.texts(provider.groups_claim)
    matched = [group for group in groups if group in provider.group_roles]
    role, has_factor = role_mapping.role_of(provider, proven), completion.has_factor(provider, proven)
    methods = ", ".join([*proven.texts("amr"), *proven.texts("acr")])[:200]
    return [
        Finding("account", "good", proven.subject),
        Finding("user name", "good" if name else "bad", name or _("The claim is missing.")),
        Finding(
            "groups",
            "good" if matched else "warning",
            _("%(count)d, of which these count: %(groups)s")
            % {"count": len(groups), "groups": ", ".join(matched[:_SHOWN]) or _("none")},
        ),
        Finding("role", "good" if role else "bad", role_name(role) if role else _("None: the sign-in is refused.")),
        Finding(
            "second factor",
            "good" if has_factor else "warning",
            (_("Proven: %(methods)s") if has_factor else _("Not proven there: %(methods)s"))
            % {"methods": methods or _("the provider says nothing")},
        ),
        _user_finding(provider, proven, name, role),
    ]


def _user_finding(provider: SignOnProvider, proven: Proven, name: str, role: str) -> Finding:
    if identity := SignOnIdentity.objects.filter(issuer=proven.issuer, subject=proven.subject).first():
        return Finding("user", "good", str(identity.user))
    if (user := find_namesake(name)) is not None:
        if not identities.why_not_link(provider, user, name=User.normalize_username(name), role=role):
            return Finding("user", "warning", _("The user of this name is linked at the first sign-in."))
        return Finding(
            "user", "bad", _("There is a user of this name already, who is not linked: the sign-in is refused.")
        )
    return Finding("user", "good", _("Added at the first sign-in."))


def _list(raw: dict[str, Any], name: str) -> list[str]:
    value = raw.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
