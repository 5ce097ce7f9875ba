"""Paths of Approvals."""

from __future__ import annotations

from django.urls import path

from jobs.approvals import views

app_name = "approvals"
urlpatterns = [
    path("", views.list_requests, name="list"),
    path("policies/", views.list_policies, name="policies"),
    path("policies/<slug:action>/", views.change_policy, name="policy"),
    path("<slug:code>/", views.show_request, name="detail"),
    path("<slug:code>/decide/", views.decide, name="decide"),
    path("<slug:code>/decide/options/", views.approval_options, name="options"),
    path("<slug:code>/evidence/", views.download_evidence, name="evidence"),
]
