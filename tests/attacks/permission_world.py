"""Users of each role, and one row at least of whatever the permission table names."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from cloudcreds.models import CloudCredential, SignInCertificate
from hsm.models import HsmDevice
from jobs.certifications.models import Certification
from jobs.choices import JobState
from jobs.models import Job
from keygroups.models import CloudVersion, KeyGroup, Observation, RotationSlot
from kmes.accounts.models import ConsoleSession, CustomRole, Passkey, RoleAssignment, User
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.core.clock import now
from kmes.devtools.fuzz import targets
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogExport, SavedFilter
from logging_reports.notices.models import Channel, Notice
from tests.attacks.permission_table import Row

ALL = frozenset(right.value for right in Right)


def known_values() -> dict[str, Any]:
    """The names in braces of the table, and the rows that they stand for."""
    group = KeyGroup.objects.order_by("name").last()
    observation = Observation.objects.earliest("pk")
    version = CloudVersion.objects.filter(group=group).first()
    assert group is not None
    assert version is not None
    failed = Job.objects.filter(group=group, state=JobState.FAILED, kind="synchronize", part_of=None)
    return {
        "group": group.pk,
        "key": version.key_id,
        "version": version.pk,
        "vault": group.vault_id,
        "credential": group.credential_id,
        "certificate": SignInCertificate.objects.get().pk,
        "observation": observation.pk,
        "observed_group": observation.group_id,
        "due_group": RotationSlot.objects.get().group_id,
        "job": failed.latest("created_at").code,
        "job_id": failed.latest("created_at").pk,
        "many_job": Job.objects.get(kind="many_groups").code,
        "awaiting": Job.objects.get(state=JobState.AWAITING).code,
        "listing": Job.objects.get(kind="list_vaults").code,
        "certification": Certification.objects.get().code,
        "export": LogExport.objects.get(state="queued").pk,
        "filter": SavedFilter.objects.get().pk,
        "destination": ForwardingDestination.objects.get().pk,
        "notice": Notice.objects.earliest("pk").pk,
        "channel": Channel.objects.get(kind="mail").pk,
        "webhook": Channel.objects.get(kind="webhook").pk,
        "device": HsmDevice.objects.get(is_designated=False).pk,
        "passkey": Passkey.objects.earliest("pk").pk,
        "user": User.objects.get(username="powerless").pk,
        "assignment": RoleAssignment.objects.get(user__username="powerless").pk,
        "session": ConsoleSession.objects.get(user__username="powerless").name,
        "role": CustomRole.objects.get(name="Nobody's").code,
    }


class World:
    """One state of the database, and a browser for each set of rights. Each request is rolled back."""

    def __init__(self) -> None:
        targets.write_rows()
        CustomRole.objects.create(code="role-nobodys", name="Nobody's", rights=[], changed_at=now())
        powerless = get_user_model().objects.create_user("powerless", role="role-nobodys")
        RoleAssignment.objects.create(
            user=powerless, role="role-nobodys", scope_kind="tag", scope_value="a=b", given_at=now(), given_by="fuzz"
        )
        Client().force_login(powerless)
        asked = {"actor_name": "fuzz", "trigger": "user", "run_after": now(), "subject": "fuzz"}
        credential = CloudCredential.objects.earliest("name")
        Job.objects.create(kind="list_vaults", state=JobState.SUCCEEDED, credential=credential, **asked)
        self.values = known_values()
        self._browsers: dict[tuple[str, frozenset[str]], Client] = {}

    def of_role(self, role: str) -> Client:
        """A browser in which a user of a built-in role is signed in."""
        return self._browser(role, frozenset(ROLE_RIGHTS[Role(role)]))

    def with_rights(self, rights: frozenset[str]) -> Client:
        """A browser in which a user is signed in whose role, made for this, has these rights and no other."""
        return self._browser("", rights)

    def _browser(self, role: str, rights: frozenset[str]) -> Client:
        known = self._browsers.get((role, rights))
        if known is None:
            name = role or f"made-{len(self._browsers)}"
            if not role:
                CustomRole.objects.create(
                    code=name, name=name, rights=sorted(rights), needs_second_factor=False, changed_at=now()
                )
            known = self._browsers[role, rights] = Client(raise_request_exception=False)
            known.force_login(get_user_model().objects.create_user(f"user-{name}", role=name))
        return known

    def user_with(self, rights: frozenset[str]) -> User:
        """The user of ``with_rights``."""
        return User.objects.get(pk=self.with_rights(rights).session["_auth_user_id"])

    def send(self, browser: Client, row: Row, method: str, **headers: str) -> Any:
        """Send the request of a row and roll back what it did."""
        arguments = {name: self._fill(value) for name, value in row.arguments}
        query = self._fill(row.query)
        path = reverse(row.view, kwargs=arguments) + (f"?{query}" if query else "")
        with transaction.atomic():
            answer = (
                browser.get(path, **headers)
                if method == "GET"
                else browser.post(path, dict(parse_qsl(query)), **headers)
            )
            transaction.set_rollback(True)
        return answer

    def _fill(self, text: str) -> str:
        return text.format_map(self.values)
