"""Refusals of Resource Manager.

Owns the exception and the texts that several places use. Must not decide when to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping

from azure_emulator.identity.clients import Client


class ArmError(Exception):
    """One refused control-plane request."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


def authorization_failed(client: Client, action: str, scope: str) -> ArmError:
    """403: no role of the client allows the action."""
    return ArmError(
        403, "AuthorizationFailed",
        f"The client '{client.client_id}' with object id '{client.object_id}' does not have authorization to perform "
        f"action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
    )  # fmt: skip


def subscription_not_found(identifier: str) -> ArmError:
    """404: there is no such subscription, or not for this tenant."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{identifier}' could not be found.")


def missing_registration() -> ArmError:
    """409: the subscription never used Key Vault."""
    return ArmError(
        409, "MissingSubscriptionRegistration",
        "The subscription is not registered to use namespace 'Microsoft.KeyVault'. See https://aka.ms/rps-not-found for how "
        "to register subscriptions.",
    )  # fmt: skip


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    """404: the group has no such resource."""
    return ArmError(
        404, "ResourceNotFound",
        f"The Resource 'Microsoft.KeyVault/{kind}/{name}' under resource group '{group}' was not found. For more details "
        "please go to https://aka.ms/ARMResourceNotFoundFix",
    )  # fmt: skip


def path_not_found(segments: list[str]) -> ArmError:
    """404: nothing is at this path."""
    return ArmError(404, "ResourceNotFound", f"The Resource '/{'/'.join(segments)}' was not found.")
