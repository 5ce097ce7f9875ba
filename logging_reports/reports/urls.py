"""Paths of Reports, mounted below ``/reports/``."""

from __future__ import annotations

from django.urls import path

from logging_reports.reports import views

app_name = "reports"
urlpatterns = [
    path("", views.list_reports, name="home"),
    path("<slug:name>/", views.show_report, name="report"),
    path("<slug:name>/export.csv", views.export_report, name="export"),
    path("<slug:name>/export.pdf", views.export_pdf, name="export_pdf"),
]
