"""Paths of System Logs, mounted below ``/logs/``."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "logs"
urlpatterns: list[URLPattern] = []
