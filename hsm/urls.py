"""Paths of the device and its configuration."""

from __future__ import annotations

from django.urls import path

from hsm import views

app_name = "hsm"
urlpatterns = [
    path("device/", views.show_device, name="device"),
    path("configuration/", views.show_configuration, name="configuration"),
    path("configuration/<uuid:device_id>/designate/", views.designate_device, name="designate"),
]
