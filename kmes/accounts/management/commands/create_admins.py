"""``manage.py create_admins``: the first administrators, once."""

from __future__ import annotations

import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from kmes.accounts.rights import Role
from kmes.core.actor import SYSTEM
from logging_reports.services import record

NAMES = ("admin1", "admin2")


class Command(BaseCommand):
    """Make admin1 and admin2 on an instance without users."""

    help = "Make the first administrators; does nothing when there are users."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print each password once; it is stored nowhere in clear."""
        users = get_user_model().objects
        if users.exists():
            return
        chosen = os.environ.get("KMES_ADMIN_PASSWORD", "")
        for name in NAMES:
            password = chosen or secrets.token_urlsafe(15)
            with transaction.atomic():
                users.create_user(name, password=password, role=Role.ADMIN)
                record("user.created", actor=SYSTEM, message=f"First administrator {name} created")
            shown = "(from KMES_ADMIN_PASSWORD)" if chosen else password
            self.stdout.write(f"{name}  {shown}")
