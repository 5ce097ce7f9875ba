"""``manage.py database_roles``: a role at PostgreSQL for each process, with the rights that it needs."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from kmes.core.private_files import write_private
from kmes.core.secret_types import SecretText
from kmes.operations import database_roles
from logging_reports.safe_text import visible


class Command(BaseCommand):
    """Make the roles, or say what is not as it should be."""

    help = (
        "Make the roles of web, worker and reports at PostgreSQL where they are missing, and give each exactly the rights "
        "that it needs. Run it as a role that may make roles: a superuser, or the tables' owner with CREATEROLE. "
        "Migrations renew the rights by themselves."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare where passwords lie, and the mode that changes nothing."""
        parser.add_argument(
            "--passwords",
            type=Path,
            metavar="FOLDER",
            help="set each role's password to that of FOLDER/<process>/password; a file that is missing is made",
        )
        parser.add_argument("--check", action="store_true", help="change nothing; say what differs, and exit with 1")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; every failure is a sentence."""
        if not database_roles.is_used():
            raise CommandError("The database is SQLite, which has no roles: every process can change every row.")
        if options["check"]:
            self._check()
            return
        try:
            made = database_roles.make_roles(lambda process: _password_of(process, options["passwords"]))
            changed = database_roles.grant_rights()
        except database_roles.RoleError as error:
            message = f"This role of the database may not make roles. Let an administrator of the server run:\n{error}"
            raise CommandError(message) from None
        except (DatabaseError, OSError) as error:
            raise CommandError(f"The roles can't be made: {' '.join(str(error).split())}") from None
        for role in made:
            self.stdout.write(f"made the role {role}")
        self.stdout.write(f"changed {changed} rights" if changed else "all rights were as they should be")
        self._check()

    def _check(self) -> None:
        faults = database_roles.find_faults()
        if faults:
            raise CommandError("\n".join([f"{len(faults)} differences:", *map(visible, faults)]))
        self.stdout.write("each role has what it needs and nothing else")


def _password_of(process: str, folder: Path | None) -> SecretText | None:
    """Return the password in a process's file, made where it is missing; None without a folder."""
    if folder is None:
        return None
    path = folder / process / "password"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, secrets.token_urlsafe(48))
    return SecretText(path.read_text().strip())
