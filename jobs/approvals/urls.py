"""Paths of Approvals."""

from __future__ import annotations

from django.urls import path

from jobs.approvals import batch_views, break_glass_views, change_views, policy_views, views

app_name = "approvals"
urlpatterns = [
    path("", views.list_requests, name="list"),
    path("policies/", policy_views.list_policies, name="policies"),
    path("policies/demand-two/", policy_views.demand_two, name="demand_two"),
    path("policies/for-scope/<int:policy_id>/", policy_views.change_policy_for_scope, name="policy_for_scope"),
    path("policies/<slug:action>/", policy_views.change_policy, name="policy"),
    path("policies/<slug:action>/add/", policy_views.add_policy_for_scope, name="add_policy"),
    path("batch/", batch_views.approve_several, name="batch"),
    path("batch/options/", batch_views.batch_options, name="batch_options"),
    path("<slug:code>/", views.show_request, name="detail"),
    path("<slug:code>/decide/", views.decide, name="decide"),
    path("<slug:code>/decide/options/", views.approval_options, name="options"),
    path("<slug:code>/apply/", change_views.apply, name="apply"),
    path("<slug:code>/break-glass/", break_glass_views.break_glass, name="break_glass"),
    path("<slug:code>/break-glass/options/", break_glass_views.break_glass_options, name="break_glass_options"),
    path("<slug:code>/review/", break_glass_views.review, name="review"),
    path("<slug:code>/evidence/", views.download_evidence, name="evidence"),
]
