"""Paths of the device and its configuration."""

from __future__ import annotations

app_name = "hsm"
urlpatterns: list = []
