"""Paths of the shell itself: search, shortcuts, and what users choose for their pages."""

from __future__ import annotations

from django.urls import path

from kmes.ui import change_views, views

app_name = "ui"
urlpatterns = [
    path("search/", views.search, name="search"),
    path("shortcuts/", views.show_shortcuts, name="shortcuts"),
    path("preferences/", change_views.edit_preferences, name="preferences"),
    path("preferences/colours/", change_views.choose_colours, name="colours"),
    path("preferences/tree/", change_views.fold_section, name="tree"),
    path("preferences/tables/<slug:name>/", change_views.edit_layout, name="table"),
    path("preferences/tables/<slug:name>/views/", change_views.edit_saved_views, name="views"),
]
