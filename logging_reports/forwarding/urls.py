"""Paths of Log forwarding, mounted below ``/forwarding/``."""

from __future__ import annotations

from django.urls import path

from logging_reports.forwarding import views

app_name = "forwarding"
urlpatterns = [
    path("", views.list_destinations, name="list"),
    path("add/", views.add_destination, name="add"),
    path("<uuid:destination_id>/", views.show_destination, name="detail"),
    path("<uuid:destination_id>/edit/", views.edit_destination, name="edit"),
    path("<uuid:destination_id>/test/", views.test_destination, name="test"),
    path("<uuid:destination_id>/again/", views.send_again, name="send_again"),
    path("<uuid:destination_id>/delete/", views.delete_destination, name="delete"),
]
