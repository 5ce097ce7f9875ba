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
    "700027": (
        gettext_lazy("Entra does not accept the certificate (%(code)s)."),
        gettext_lazy(
            "Register the certificate with the application in Entra (Certificates & secrets > Certificates), and compare"
            " the thumbprints. A certificate that has expired must be replaced."
        ),
    ),
    "1000502": (
        gettext_lazy("The certificate is not valid at this time (%(code)s)."),
        gettext_lazy("Make or upload another certificate in the cloud credential, and register it in Entra."),
    ),
    "7000214": (
        gettext_lazy("The certificate was revoked (%(code)s)."),
        gettext_lazy("Make or upload another certificate in the cloud credential, and register it in Entra."),
    ),
    "700024": (
        gettext_lazy("The signed assertion is not valid at Entra's time (%(code)s)."),
        gettext_lazy(
            "Correct the clock of the worker's host. A federated token has expired if whoever renews its file has stopped."
        ),
    ),
    "700211": (
        gettext_lazy("The application trusts no issuer like that of the token (%(code)s)."),
        gettext_lazy("Compare Issuer with Certificates & secrets > Federated credentials of the application in Entra."),
    ),
    "700212": (
        gettext_lazy("The application expects another audience in the token (%(code)s)."),
        gettext_lazy(
            "Compare Audience with Certificates & secrets > Federated credentials of the application in Entra."
        ),
    ),
    "700213": (
        gettext_lazy("The application trusts no subject like that of the token (%(code)s)."),
        gettext_lazy(
            "Compare Subject with Certificates & secrets > Federated credentials of the application in Entra."
        ),
    ),
    "700016": (
        gettext_lazy("The tenant knows no application with this client id (%(code)s)."),
        gettext_lazy("Check Client ID and Tenant ID in the cloud credential."),
    ),
    "90002": (
        gettext_lazy("Entra knows no tenant with this id (%(code)s)."),
        gettext_lazy("Check Tenant ID and Cloud in the cloud credential."),
    ),
    "7000112": (
        gettext_lazy("The application is disabled in Entra (%(code)s)."),
        gettext_lazy("Enable the app registration's enterprise application in Entra."),
    ),
    "7000229": (
        gettext_lazy("The application has no service principal in this tenant (%(code)s)."),
        gettext_lazy("Grant the application consent in the tenant, or check Tenant ID in the cloud credential."),
    ),
    "53003": (
        gettext_lazy("A Conditional Access policy of the tenant refused the sign-in (%(code)s)."),
        gettext_lazy("Let the tenant's administrator exempt this application or allow the console's address."),
    ),
    "500011": (
        gettext_lazy("The tenant does not know the resource that was asked for (%(code)s)."),
        gettext_lazy("Check Cloud in the cloud credential: each cloud has resources of its own."),
    ),
    "500133": (
        gettext_lazy("Entra did not accept the time of the signed assertion (%(code)s)."),
        gettext_lazy(
            "Compare the clock of the cloud worker's machine with the right time; a federated token may also have expired."
        ),
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


def token_refused(code: str, *, passes: bool) -> Text:
    """Entra accepted the credential, and the service asked then did not accept the token; ``code`` may be empty."""
    what = _("Azure did not accept the token from the sign-in (%(detail)s).") % {"detail": code or _("no code given")}
    check = _("Check Tenant ID and Cloud of the cloud credential, and that the vault is in this tenant.")
    if not passes:
        return what, check
    return what, _("It is tried again with a new sign-in.") + " " + check


# --- no answer -------------------------------------------------------------------------------
def not_sent(what: str) -> Text:
    """No connection was made."""
    return what, _("Check name, network and firewall: the login, management and vault addresses need port 443.")


def proxy_refused(what: str) -> Text:
    """The company's own proxy did not let the request through."""
    return what, _("Let the proxy's administrator allow the address, or name it in NO_PROXY.")


def address_refused(what: str) -> Text:
    """An answer named an address that the credential must not be used with."""
    return what, _("Check the cloud of the credential and the vault's URL, and whether a proxy stands in between.")


def host_without_identities(what: str) -> Text:
    """The address that gives managed identities their tokens can't be reached."""
    return what, _("Managed identities exist on hosts in Azure only. Run the cloud worker there, or sign in otherwise.")


def sign_in_unavailable(what: str) -> Text:
    """Entra gave no answer that says anything of the credential."""
    return what, _("It is tried again later; check the network between the worker and the login address.")


def read_without_answer(subject: str, why: str) -> Text:
    """A call that changes nothing got no answer that can be believed."""
    return (
        _("%(subject)s could not be read: %(why)s") % {"subject": subject, "why": why},
        _("Check the network and any proxy between the worker and Azure."),
    )


def change_without_answer(subject: str, why: str) -> Text:
    """A call that may have taken effect got no answer that can be believed."""
    return (
        _("Whether %(subject)s was changed is not known: %(why)s") % {"subject": subject, "why": why},
        _("Nothing is repeated until the vault was checked."),
    )


def other_tenant(what: str) -> Text:
    """The vault asks for a sign-in at another tenant, twice."""
    return what, _("Check Tenant ID in the cloud credential; the vault may have been moved to another tenant.")


# --- answers ---------------------------------------------------------------------------------
def throttled() -> Text:
    """Too many requests."""
    return _("The vault throttles: too many requests."), _("It is tried again after a pause.")


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


def firewall(address: str) -> Text:
    """The vault's network rules; ``address`` is the client address that Azure saw, "" if it did not say."""
    seen = _(" Azure sees the address %(address)s.") % {"address": address} if address else ""
    return (
        _("The vault's firewall does not let this console in.") + seen,
        _("Allow the console's address or subnet in the vault's Networking settings."),
    )


def private_only() -> Text:
    """The vault takes no connections from public networks."""
    return (
        _("The vault takes connections through approved private endpoints only, and this one came another way."),
        _(
            "Let the cloud worker reach the vault through a private endpoint, or allow its public address in the"
            " vault's Networking settings."
        ),
    )


def reader_missing() -> Text:
    """The app registration lacks a role on the control plane."""
    return (
        _("The app registration may not list vaults."),
        _(
            "Grant it the role Reader on the vault or its resource group, or type the vault's address; "
            "a new grant can take up to 15 minutes."
        ),
    )


def refused_otherwise(name: str, text: str, request_id: str) -> Text:
    """A refusal that names no permission, firewall, protection or disabled key."""
    return (
        _other_reason(name, text),
        _("Azure Policy is the usual reason: check the policies assigned to the vault. Request id: %(id)s.")
        % {"id": request_id or "–"},
    )


def denied(name: str, text: str, request_id: str) -> Text:
    """A deny assignment refuses the action, whatever is granted."""
    return (
        _other_reason(name, text),
        _(
            "A deny assignment on the vault or above it refuses the action: check Access control (IAM)."
            " Request id: %(id)s."
        )
        % {"id": request_id or "–"},
    )


def _other_reason(name: str, text: str) -> str:
    reason = text.rstrip(" .") or _("none was given")
    return _("Azure refused the request about %(name)s for another reason: %(text)s.") % {"name": name, "text": reason}


def outside_validity(name: str, text: str) -> Text:
    """Use of a version before its not-before date or after its expiry, by the vault's clock."""
    return (
        _("The vault does not let %(name)s be used now: %(text)s") % {"name": name, "text": text},
        _("Compare the version's not-before date and expiry in the vault."),
    )


def operation_forbidden(name: str, text: str) -> Text:
    """The operation is not among those the key permits."""
    return (
        _("The key %(name)s does not permit the operation: %(text)s") % {"name": name, "text": text},
        _("Check the permitted operations in the key group's Azure properties."),
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
            "a new grant can take up to 15 minutes."
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
    return _("The vault reports a conflict about %(name)s.") % {"name": name}, _("Check the key in the vault.")
