"""Paths of the home page and of what watches the installation."""

from __future__ import annotations

from django.urls import path

from kmes.dashboard import health, views
from kmes.dashboard.attention import views as attention_views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("outlook/", views.outlook, name="outlook"),
    path("attention/<slug:matter>/acknowledge/", attention_views.acknowledge, name="acknowledge"),
    path("attention/<slug:matter>/withdraw/", attention_views.withdraw, name="withdraw"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
