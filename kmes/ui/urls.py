"""Paths of the shell itself: search, shortcuts, and what users choose for their pages."""

from __future__ import annotations

from django.urls import path

from kmes.ui import change_signal, preference_views, views

app_name = "ui"
urlpatterns = [
    path("changes/", change_signal.show_changes, name="changes"),
    path("search/", views.search, name="search"),
    path("menus/<slug:target>/", views.show_background_actions, name="background"),
    path("shortcuts/", views.show_shortcuts, name="shortcuts"),
    path("preferences/", preference_views.edit_preferences, name="preferences"),
    path("preferences/colours/", preference_views.choose_colours, name="colours"),
    path("preferences/csv/", preference_views.choose_csv_encoding, name="csv"),
    path("preferences/tree/", preference_views.fold_section, name="tree"),
    path("preferences/tables/<slug:name>/", preference_views.edit_layout, name="table"),
    path("preferences/tables/<slug:name>/views/", preference_views.edit_saved_views, name="views"),
]
