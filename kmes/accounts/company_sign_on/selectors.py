"""Reads of company sign-on: its settings, and whose account at the provider is whose."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.session_store import SIGN_ON


def find_provider() -> SignOnProvider | None:
    """Return the settings, also while they are switched off."""
    return SignOnProvider.objects.filter(pk=SignOnProvider.ONLY).first()


def active_provider() -> SignOnProvider | None:
    """Return the settings, if users can sign in by them."""
    return SignOnProvider.objects.filter(pk=SignOnProvider.ONLY, is_enabled=True).first()


def began_at_provider(request: HttpRequest) -> bool:
    """Return whether the session began with a sign-in at the provider."""
    return SIGN_ON in request.session


def can_confirm(request: HttpRequest) -> bool:
    """Return whether the provider can be asked again who uses this session."""
    return began_at_provider(request) and active_provider() is not None


def find_identity(user: Any) -> SignOnIdentity | None:
    """Return the user's account at a provider, the newest one if there are several."""
    return SignOnIdentity.objects.filter(user=user).order_by("-added_at").first()
