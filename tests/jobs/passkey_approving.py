"""Approvers with passkeys, as a browser and an authenticator act on the console's pages."""

from __future__ import annotations

from django.contrib.auth import get_user_model

from kmes.core.actor import Actor
from tests.accounts.passkey_pages import ORIGIN, PASSWORD, add_passkey, options, with_password
from tests.authenticator import Authenticator
from tests.jobs.approving import request_of


class Approver:
    """A user with a passkey, signed in."""

    def __init__(self, name, *, role="admin", algorithm=None):
        self.user = get_user_model().objects.create_user(name, role=role, password=PASSWORD)
        self.actor = Actor.from_user(self.user)
        self.key = Authenticator() if algorithm is None else Authenticator(algorithm=algorithm)
        self.client = with_password(self.user)
        assert add_passkey(self.client, self.key).status_code in {200, 302}

    def options(self, job, **fields):
        """What the console has the passkey sign for these fields of the form."""
        sent = {"seen": request_of(job).digest, "reason": "", **fields}
        return self.client.post(f"/approvals/{job.code}/decide/options/", sent)

    def answer(self, job, **fields):
        return self.key.get(self.options(job, **fields).json()["publicKey"], origin=ORIGIN)

    def send(self, job, **fields):
        """Send the form of the decision."""
        sent = {"seen": request_of(job).digest, "reason": "", **fields}
        return self.client.post(f"/approvals/{job.code}/decide/", sent)

    def approve(self, job, **fields):
        """Approve with the passkey, as the page does."""
        answer = self.send(job, passkey=self.answer(job, **fields), **fields)
        job.refresh_from_db()
        return answer

    def confirm(self):
        """Prove the second factor as step-up asks for it."""
        page = "/profile/second-factor/"
        sent = self.key.get(options(self.client, f"{page}options/"), origin=ORIGIN)
        assert self.client.post(f"{page}confirm/", {"passkey": sent}).status_code == 302
