"""Paths of the home page and of what watches the installation."""

from __future__ import annotations

from django.urls import path

from kmes.dashboard import health, views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
