"""Paths of the Keys view, mounted below ``/keys/``."""

from __future__ import annotations

from django.urls import path

from keygroups import (
    change_views,
    drift_views,
    group_filter,
    picture_views,
    reschedule_views,
    rotation_views,
    vault_views,
    views,
)

app_name = "keygroups"
urlpatterns = [
    path("", views.show_keys, name="keys"),
    path("custody/", picture_views.show_custody, name="custody"),
    path("calendar/", picture_views.show_calendar, name="calendar"),
    path("tree/", views.show_branch, name="branch"),
    path("selection/actions/", views.show_selection_actions, name="selection_actions"),
    path("actions/", views.show_groups_actions, name="groups_actions"),
    path("groups/selection/actions/", views.show_group_selection_actions, name="group_selection_actions"),
    path("groups/names/", group_filter.suggest_groups, name="group_names"),
    path("groups/add/", change_views.add_group, name="group_add"),
    path("groups/selection/rotation/", rotation_views.edit_rotation, name="rotation"),
    path("groups/selection/reschedule/", reschedule_views.reschedule, name="reschedule"),
    path("groups/preview/", change_views.preview_group, name="preview"),
    path("groups/vaults/", vault_views.list_vaults, name="vaults"),
    path("groups/vaults/<slug:code>/", vault_views.show_listing, name="vault_listing"),
    path("vaults/<uuid:vault_id>/", vault_views.show_vault, name="vault"),
    path("vaults/<uuid:vault_id>/actions/", vault_views.show_vault_actions, name="vault_actions"),
    path("vaults/<uuid:vault_id>/permissions/", vault_views.show_vault_permissions, name="vault_permissions"),
    path("groups/<uuid:group_id>/", views.show_group, name="group_detail"),
    path("groups/<uuid:group_id>/edit/", change_views.edit_group, name="group_edit"),
    path("groups/<uuid:group_id>/delete/", change_views.delete_group, name="group_delete"),
    path("groups/<uuid:group_id>/actions/", views.show_group_actions, name="group_actions"),
    path("groups/<uuid:group_id>/permissions/", views.show_group_permissions, name="group_permissions"),
    path("groups/<uuid:group_id>/inspector/", views.inspect_group, name="group_inspector"),
    path("groups/<uuid:group_id>/drift/", drift_views.show_drift, name="drift"),
    path("groups/<uuid:group_id>/drift/<uuid:observation_id>/accept/", drift_views.accept, name="drift_accept"),
    path("<uuid:key_id>/", views.show_key, name="key_detail"),
    path("<uuid:key_id>/actions/", views.show_key_actions, name="key_actions"),
    path("<uuid:key_id>/inspector/", views.inspect_key, name="key_inspector"),
    path("<uuid:key_id>/events/", picture_views.show_key_events, name="key_events"),
    path("<uuid:key_id>/history.pdf", picture_views.export_key_pdf, name="key_pdf"),
    path("<uuid:key_id>/public/", views.download_public, name="key_public"),
]
