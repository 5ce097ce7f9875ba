"""What is said of each refusal of Azure: what happened, and what to do. Decides nothing (``errors`` does)."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# What happened, and the remedy.
Text = tuple[str, str]

_SECRET_REMEDY = gettext_lazy("Type the current client secret in the cloud credential, or make a new one in Entra.")
# By the number of Entra's code (docs/azure.md#errors).
_SIGN_IN = {
    "7000215": (gettext_lazy("Entra refused the client secret (%(code)s)."), _SECRET_REMEDY),
    "7000222": (gettext_lazy("The client secret has expired (%(code)s)."), _SECRET_REMEDY),
    "700016": (
        gettext_lazy("The tenant knows no application with this client id (%(code)s)."),
        gettext_lazy("Check Client ID and Tenant ID in the cloud credential."),
    ),
    "90002": (
        gettext_lazy("Entra knows no tenant with this id (%(code)s)."),
        gettext_lazy("Check Tenant ID and Cloud in the cloud credential."),
    ),
    "900023": (
        gettext_lazy("The tenant id is malformed (%(code)s)."),
        gettext_lazy("Check Tenant ID in the cloud credential."),
    ),
}


# --- sign-in ---------------------------------------------------------------------------------
def sign_in_refused(number: str) -> Text:
    """Entra named one of the known codes."""
    what, remedy = _SIGN_IN[number]
    return str(what) % {"code": f"AADSTS{number}"}, str(remedy)


def tenant_unknown() -> Text:
    """Entra's answer hides whether the tenant or the login address is wrong."""
    return (
        _("Entra knows no tenant with this id, or the login address can't be reached."),
        _("Check Tenant ID and Cloud in the cloud credential."),
    )


def sign_in_not_accepted(code: str) -> Text:
    """Another refusal of the sign-in; ``code`` may be empty."""
    return (
        _("Azure did not accept the sign-in (%(detail)s).") % {"detail": code or _("no code given")},
        _(
            "Check Tenant ID, Client ID and Client Secret of the cloud credential, and that the vault is in this tenant."
        ),
    )


# --- no answer -------------------------------------------------------------------------------
def unreachable(subject: str, reason: str) -> Text:
    """No connection was made."""
    return (
        _("%(subject)s can't be reached: %(reason)s.") % {"subject": subject, "reason": reason},
        _("Check name, network and firewall: the login, management and vault addresses need port 443."),
    )


def network_reason(text: str) -> str:
    """Return in words why no connection was made, from the text of the network's error."""
    for sign, words in (
        ("CERTIFICATE_VERIFY_FAILED", _("its certificate is not trusted")),
        ("refused", _("the connection was refused")),
        ("resolve", _("its name is not known")),
        ("resolution", _("its name is not known")),
        ("timed out", _("it did not answer in time")),
    ):
        if sign in text:
            return words
    return _("no connection could be made")


def read_broken_off(subject: str) -> Text:
    """The connection broke during a call that changes nothing."""
    return (
        _("The connection to %(subject)s broke.") % {"subject": subject},
        _("Check the network between the worker and Azure."),
    )


def change_broken_off(subject: str) -> Text:
    """The connection broke during a call that may have taken effect."""
    return (
        _("The connection to %(subject)s broke before its answer came.") % {"subject": subject},
        _("Nothing is repeated before the vault has been looked at."),
    )


# --- answers ---------------------------------------------------------------------------------
def redirect() -> Text:
    """The answer names another address."""
    return (
        _("The answer pointed to another address, which is never followed."),
        _("Check the vault's URL, and whether a proxy stands in between."),
    )


def throttled() -> Text:
    """Too many requests."""
    return _("The vault throttles: too many requests."), _("It is tried again after a pause.")


def server_error(status: int) -> Text:
    """The service failed."""
    return (
        _("Azure answered with an error of its own (HTTP %(status)d).") % {"status": status},
        _("It is looked at again later."),
    )


def not_found(name: str) -> Text:
    """There is no such key, version or deleted key."""
    return _("The vault has no key %(name)s.") % {"name": name}, _("Run Cloud > Check Drift.")


def no_hsm_keys() -> Text:
    """The tier holds software keys only."""
    return (
        _("The vault is of the Standard tier, which holds no HSM keys."),
        _("Choose a vault of the Premium tier."),
    )


def refused_input(name: str, answer: str) -> Text:
    """The request is wrong in itself."""
    return (
        _("Azure refused the request about %(name)s: %(answer)s.") % {"name": name, "answer": answer},
        _("Check the key group's Azure properties."),
    )


def firewall() -> Text:
    """The vault's network rules."""
    return (
        _("The vault's firewall does not let this console in."),
        _("Allow the console's address or subnet in the vault's Networking settings."),
    )


def purge_protected() -> Text:
    """A purge before the end of the retention."""
    return (
        _("The vault has purge protection: nobody can purge before the retention period ends."),
        _("Azure purges by itself then; until then the key can be recovered."),
    )


def key_disabled(name: str) -> Text:
    """Use of a disabled version."""
    return _("The version of %(name)s is disabled.") % {"name": name}, _("Enable it first.")


def permission_missing(permission: str) -> Text:
    """The access policy or the roles lack a key permission."""
    return (
        _("The app registration lacks the key permission %(name)s on the vault.") % {"name": permission},
        _(
            "Grant it %(name)s in the vault's access policy, or the role Key Vault Crypto Officer; "
            "a new grant can take some minutes."
        )
        % {"name": permission},
    )


def soft_deleted(name: str) -> Text:
    """The name belongs to a deleted key."""
    return (
        _("The Azure key %(name)s is deleted but recoverable, so its name can't be used.") % {"name": name},
        _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
    )


def being_deleted(name: str) -> Text:
    """The last deletion or recovery has not settled."""
    return (
        _("Azure is still busy with deleting or recovering %(name)s.") % {"name": name},
        _("Try again in a minute."),
    )


def conflict(name: str) -> Text:
    """Another conflict."""
    return _("The vault reports a conflict about %(name)s.") % {"name": name}, _("Look at the key in the vault.")
