"""Signing in and out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kmes.accounts.forms import SignInForm

login = LoginView.as_view(
    template_name="accounts/login.html", authentication_form=SignInForm, redirect_authenticated_user=True
)
logout = LogoutView.as_view()


def locked_out(
    request: HttpRequest,
    *_args: Any,
    **_kwargs: Any,
) -> HttpResponse:
    """Show that sign-in is locked after too many failures."""
    return render(request, "accounts/locked.html", status=429)
