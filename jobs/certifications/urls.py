"""Paths of Self-certification."""

from __future__ import annotations

from django.urls import path

from jobs.certifications import views

app_name = "certifications"
urlpatterns = [
    path("", views.list_certifications, name="list"),
    path("new/", views.begin_certification, name="begin"),
    path("<slug:code>/", views.show_certification, name="detail"),
    path("<slug:code>/live/", views.show_live, name="live"),
    path("<slug:code>/report.json", views.download_report, name="report"),
    path("<slug:code>/report.sig", views.download_signature, name="signature"),
    path("<slug:code>/signer.pem", views.download_signer, name="signer"),
]
