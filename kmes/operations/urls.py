"""Paths of Administration > Configuration besides the device's."""

from __future__ import annotations

from django.urls import path

from kmes.operations import views

app_name = "operations"
urlpatterns = [
    path("configuration/options/", views.show_options, name="options"),
    path("configuration/options/save/", views.save_options, name="save_options"),
    path("configuration/schedule/", views.show_schedule, name="schedule"),
    path("configuration/schedule/confirm/", views.confirm_schedule, name="confirm_schedule"),
]
