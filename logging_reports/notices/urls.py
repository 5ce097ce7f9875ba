"""Paths of notices and their channels, mounted at the root."""

from __future__ import annotations

from django.urls import path

from logging_reports.notices import channel_views, views

app_name = "notices"
urlpatterns = [
    path("notices/", views.list_notices, name="list"),
    path("notices/bell/", views.show_bell, name="bell"),
    path("notices/read/", views.mark_read, name="read_all"),
    path("notices/<int:notice_id>/read/", views.mark_read, name="read"),
    path("notices/mail/", views.edit_own_mail, name="own_mail"),
    path("notices/mail/test/", views.test_own_mail, name="own_mail_test"),
    path("administration/notices/", channel_views.list_channels, name="channels"),
    path("administration/notices/add/<slug:kind>/", channel_views.add_channel, name="channel_add"),
    path("administration/notices/<uuid:channel_id>/", channel_views.show_channel, name="channel"),
    path("administration/notices/<uuid:channel_id>/edit/", channel_views.edit_channel, name="channel_edit"),
    path("administration/notices/<uuid:channel_id>/test/", channel_views.test_channel, name="channel_test"),
    path("administration/notices/<uuid:channel_id>/secret/", channel_views.renew_secret, name="channel_secret"),
    path("administration/notices/<uuid:channel_id>/delete/", channel_views.delete_channel, name="channel_delete"),
]
