"""Paths of System Logs, mounted below ``/logs/``."""

from __future__ import annotations

from django.urls import path

from logging_reports import views

app_name = "logs"
urlpatterns = [
    path("", views.show_log, name="list"),
    path("export.csv", views.export_csv, name="export"),
    path("exports/", views.show_exports, name="exports"),
    path("exports/start/", views.start_export, name="export_start"),
    path("exports/<str:name>", views.download_export, name="export_file"),
    path("<str:service>/<int:sequence>/", views.show_entry, name="detail"),
]
