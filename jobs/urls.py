"""Paths of Jobs."""

from __future__ import annotations

from django.urls import path

from jobs.pages import (
    adoption_views,
    change_views,
    many_views,
    name_preview,
    removal_views,
    rotation_views,
    selection_views,
    sequence_views,
    vault_pause,
    views,
)

app_name = "jobs"
urlpatterns = [
    path("", views.show_jobs, name="list"),
    path("drawer/", views.show_drawer, name="drawer"),
    path("names/preview/", name_preview.preview_names, name="names_preview"),
    path("selection/actions/", selection_views.show_selection_actions, name="jobs_actions"),
    path("selection/cancel/", selection_views.cancel_jobs, name="cancel_many"),
    path("selection/retry/", selection_views.retry_jobs, name="retry_many"),
    path("remove/", removal_views.remove, name="remove"),
    path("rotations/<uuid:group_id>/try/", rotation_views.try_rotation, name="rotation_try"),
    path("rotations/<uuid:group_id>/stop/", rotation_views.stop_rotation, name="rotation_stop"),
    path("vaults/<uuid:vault_id>/try/", vault_pause.try_vault, name="vault_try"),
    path("start-many/<slug:kind>/", many_views.start_many, name="start_many"),
    path("start/<slug:kind>/", change_views.start_job, name="start"),
    path("<slug:code>/", views.show_job, name="detail"),
    path("<slug:code>/live/", views.show_live, name="live"),
    path("<slug:code>/sequence/", sequence_views.show_sequence, name="sequence"),
    path("<slug:code>/log.txt", views.download_log, name="log"),
    path("<slug:code>/actions/", views.show_actions, name="actions"),
    path("<slug:code>/cancel/", change_views.cancel_job, name="cancel"),
    path("<slug:code>/adopt/<uuid:group_id>/", adoption_views.adopt_name, name="adopt_name"),
    path("<slug:code>/retry/", change_views.retry_job, name="retry"),
]
