"""The actions on credentials: one list for the context menu, the ⋮ button and the page's toolbar."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import CloudCredential
from cloudcreds.services import refusal_to_delete
from kmes.accounts.rights import Right
from kmes.ui.actions import MenuAction, register


def _job_url(kind: str, credential: CloudCredential) -> str:
    """Return the address at which a job about the credential is confirmed and started."""
    return f"{reverse('jobs:start', args=[kind])}?{urlencode({'credential': credential.pk})}"


def register_all() -> None:
    """Register the menus of credentials and of their list's background."""
    register(
        MenuAction(
            name="add",
            target="credentials",
            submenu=_("Add"),
            label=_("Credential"),
            url=lambda _credentials: reverse("cloudcreds:add"),
            right=Right.CREDENTIAL_MANAGE,
            method="dialog",
            order=10,
        ),
        MenuAction(
            name="edit",
            target="credential",
            label=_("Edit"),
            url=lambda credential: reverse("cloudcreds:edit", args=[credential.pk]),
            right=Right.CREDENTIAL_MANAGE,
            method="dialog",
            order=10,
        ),
        MenuAction(
            name="test",
            target="credential",
            label=_("Test Connection"),
            url=lambda credential: _job_url("test_connection", credential),
            right=Right.CREDENTIAL_MANAGE,
            method="dialog",
            order=20,
        ),
        MenuAction(
            name="make_certificate",
            target="credential",
            label=_("Make Certificate"),
            url=lambda credential: _job_url("make_certificate", credential),
            right=Right.CREDENTIAL_MANAGE,
            method="dialog",
            order=25,
        ),
        MenuAction(
            name="list_vaults",
            target="credential",
            label=_("List Key Vaults"),
            url=lambda credential: _job_url("list_vaults", credential),
            right=Right.VAULT_LIST,
            method="dialog",
            order=30,
        ),
        MenuAction(
            name="permissions",
            target="credential",
            label=_("Permissions"),
            url=lambda credential: reverse("cloudcreds:permissions", args=[credential.pk]),
            method="dialog",
            order=40,
        ),
        MenuAction(
            name="delete",
            target="credential",
            label=_("Delete"),
            url=lambda credential: reverse("cloudcreds:delete", args=[credential.pk]),
            right=Right.CREDENTIAL_MANAGE,
            method="dialog",
            danger=True,
            disabled_reason=refusal_to_delete,
            order=90,
        ),
    )
