"""Paths of System Logs, mounted below ``/logs/``."""

from __future__ import annotations

from django.urls import path

from logging_reports import export_views, filter_views, views

app_name = "logs"
urlpatterns = [
    path("", views.show_log, name="list"),
    path("tail/", views.show_tail, name="tail"),
    path("export.csv", export_views.export_now, {"form": "csv"}, name="export"),
    path("export.jsonl", export_views.export_now, {"form": "jsonl"}, name="export_lines"),
    path("exports/", export_views.show_exports, name="exports"),
    path("exports/start/", export_views.start_export, name="export_start"),
    path("exports/<uuid:export_id>/cancel/", export_views.cancel_export, name="export_cancel"),
    path("exports/<uuid:export_id>/file/", export_views.download_export, name="export_file"),
    path("filters/save/", filter_views.save_filter, name="filter_save"),
    path("filters/<uuid:filter_id>/delete/", filter_views.delete_filter, name="filter_delete"),
    path("checkpoints/", views.show_checkpoints, name="checkpoints"),
    path("checkpoints/<int:number>.txt", views.download_anchor, name="anchor"),
    path("checkpoints/<int:number>.tsr", views.download_time_stamp, name="time_stamp"),
    path("<str:service>/<int:sequence>/", views.show_entry, name="detail"),
]
