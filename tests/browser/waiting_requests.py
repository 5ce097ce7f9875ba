"""Requests for approval that wait in a running console, and the pages that show them."""

from __future__ import annotations

import subprocess
import sys

from tests.browser.conftest import Console
from tests.services import ROOT

# A policy that no other test of a browser falls under, and two requests to take it away again: one of each administrator.
_MAKE = """
from time import sleep
from django.contrib.auth import get_user_model
from jobs.approvals.models import ApprovalRequest
from jobs.kinds.set_approval_policy.spec import request_set_approval_policy
from kmes.core.actor import Actor
first, second = (Actor.from_user(get_user_model().objects.get(username=name)) for name in ("admin1", "admin2"))
asked = {"action": "change_device", "role": "admin", "expires_hours": 72, "reason": "Two look at it"}
job = request_set_approval_policy(approvals=1, allows_break_glass=True, actor=first, **asked)
for _look in range(200):
    job.refresh_from_db()
    if job.state == "succeeded":
        break
    sleep(0.1)
own = request_set_approval_policy(approvals=0, actor=first, **asked)
other = request_set_approval_policy(approvals=0, actor=second, **asked)
print(own.code, other.code, ApprovalRequest.objects.get(job=other).pk)
"""


def make_waiting_requests(console: Console) -> dict[str, str]:
    """Make a request of admin1 and one of admin2; returns the pages about them, by name, as admin1 sees them."""
    run = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", _MAKE],
        cwd=ROOT,
        env=console.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    own, other, key = run.stdout.split()[-3:]
    return {
        "approvals": "/approvals/?show=all",
        "approvals to decide": "/approvals/?show=mine",
        "approval policies": "/approvals/policies/",
        "approval policy": "/approvals/policies/change_device/",
        "approval policy for a scope": "/approvals/policies/destroy/add/",
        "request": f"/approvals/{other}/",
        "decision": f"/approvals/{other}/decide/",
        "batch approval": f"/approvals/batch/?key={key}",
        "break glass": f"/approvals/{own}/break-glass/",
        "waiting job": f"/jobs/{other}/",
    }
