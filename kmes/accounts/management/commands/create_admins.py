"""``manage.py create_admins``: the first administrators, once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from kmes.accounts.rights import Role
from kmes.accounts.services import make_one_time_password, one_time_end
from kmes.core.actor import SYSTEM
from kmes.core.private_files import write_private
from logging_reports.services import record

NAMES = ("admin1", "admin2")


class Command(BaseCommand):
    """Make admin1 and admin2 on an instance without users."""

    help = "Make the first administrators; does nothing when there are users."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Make them, each with a random password for one sign-in.

        With ``KMES_FIRST_PASSWORDS_DIR`` each password is written to a file of its own there, and only the file's name
        is printed, because what a container prints is kept in a log. Otherwise each is printed once.
        """
        users = get_user_model().objects
        if users.exists():
            return
        chosen = os.environ.get("KMES_ADMIN_PASSWORD", "")
        folder = os.environ.get("KMES_FIRST_PASSWORDS_DIR", "")
        self.stdout.write("First administrators and passwords:" if chosen else "First passwords, each for one sign-in:")
        for name in NAMES:
            password = chosen or make_one_time_password().reveal()
            # The file comes first: a password that nobody can read would be of no use to anybody.
            shown = "(from KMES_ADMIN_PASSWORD)" if chosen else _hand_over(name, password, folder) or password
            with transaction.atomic():
                users.create_user(
                    name, password=password, role=Role.ADMIN, one_time_until=None if chosen else one_time_end()
                )
                record("user.created", actor=SYSTEM, message=f"First administrator {name} created")
            self.stdout.write(f"{name}  {shown}")


def _hand_over(name: str, password: str, folder: str) -> str:
    """Write a password into the file of its person. Return where it lies, "" without a folder."""
    if not folder:
        return ""
    path = Path(folder) / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, password + "\n")
    except OSError as error:
        message = f"KMES_FIRST_PASSWORDS_DIR: {path} can't be written ({error.strerror}). No administrator was made."
        raise CommandError(message) from None
    return f"one-time password in {path}"
