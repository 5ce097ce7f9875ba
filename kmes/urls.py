"""URL wiring: each app owns its own paths."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("kmes.dashboard.urls")),
    path("setup/", include("kmes.dashboard.setup.urls")),
    path("", include("kmes.accounts.urls")),
    path("", include("kmes.ui.urls")),
    path("cloud-credentials/", include("cloudcreds.urls")),
    path("keys/", include("keygroups.urls")),
    path("jobs/", include("jobs.urls")),
    path("certifications/", include("jobs.certifications.urls")),
    path("approvals/", include("jobs.approvals.urls")),
    path("logs/", include("logging_reports.urls")),
    path("forwarding/", include("logging_reports.forwarding.urls")),
    path("reports/", include("logging_reports.reports.urls")),
    path("", include("logging_reports.notices.urls")),
    path("administration/", include("hsm.urls")),
    path("administration/", include("kmes.operations.urls")),
]

handler400 = "kmes.ui.error_pages.bad_request"
handler500 = "kmes.ui.error_pages.server_error"
