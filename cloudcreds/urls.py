"""Paths of Cloud Credentials."""

from __future__ import annotations

from django.urls import path

from cloudcreds import certificate_views, views

app_name = "cloudcreds"
urlpatterns = [
    path("", views.list_credentials, name="list"),
    path("add/", views.add_credential, name="add"),
    path("guide/", views.show_guide, name="guide"),
    path("<uuid:credential_id>/", views.show_credential, name="detail"),
    path("<uuid:credential_id>/actions/", views.show_actions, name="actions"),
    path("<uuid:credential_id>/permissions/", views.show_permissions, name="permissions"),
    path("<uuid:credential_id>/edit/", views.edit_credential, name="edit"),
    path("<uuid:credential_id>/test/", views.start_test, name="test"),
    path("<uuid:credential_id>/last-test/", views.show_test, name="last_test"),
    path("<uuid:credential_id>/use-certificate/", certificate_views.use_certificate, name="use_certificate"),
    path(
        "<uuid:credential_id>/certificates/<uuid:certificate_id>.pem",
        certificate_views.download_certificate,
        name="certificate",
    ),
    path("<uuid:credential_id>/delete/", views.delete_credential, name="delete"),
]
