"""A job that isn't on record, and the links of a job's page for who may not read the log."""

from __future__ import annotations

import pytest

from kmes.accounts.models import CustomRole
from kmes.core.clock import now
from tests.jobs.pages.browsing import body, group, make_job, people, static_root

__all__ = ["group", "people", "static_root"]
pytestmark = pytest.mark.django_db


def test_a_job_that_only_the_log_knows_leads_to_its_log_rows(client, people):
    client.force_login(people["auditor"])
    answer = client.get("/jobs/7F3KQ2/")
    page = body(answer)
    assert answer.status_code == 404
    assert "job-7F3KQ2" in page
    assert 'href="/logs/?service=azure&amp;job=job-7F3KQ2"' in page
    assert "Go to the dashboard" in page


def test_who_may_not_read_the_log_gets_no_link_to_it(client, django_user_model, group):
    CustomRole.objects.create(
        code="role-pages", name="Pages only", rights=["console.read"], needs_second_factor=False, changed_at=now()
    )
    client.force_login(django_user_model.objects.create_user("reader", role="role-pages"))
    assert "/logs/" not in body(client.get(f"/jobs/{make_job(group).code}/"))
    assert "/logs/" not in body(client.get("/jobs/7F3KQ2/"))
