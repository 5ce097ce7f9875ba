"""Paths of the Keys view."""

from __future__ import annotations

app_name = "keygroups"
urlpatterns: list = []
