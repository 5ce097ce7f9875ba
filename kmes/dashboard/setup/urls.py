"""Paths of the wizard."""

from __future__ import annotations

from django.urls import path

from kmes.dashboard.setup import views

app_name = "setup"
urlpatterns = [
    path("", views.resume, name="resume"),
    path("begin/", views.begin, name="begin"),
    path("done/", views.show_done, name="done"),
    path("<int:number>/", views.show_step, name="step"),
    path("4/vault/", views.add_vault, name="add_vault"),
    path("5/push/", views.push, name="push"),
]
