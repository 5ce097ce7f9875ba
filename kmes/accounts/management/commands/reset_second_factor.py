"""``manage.py reset_second_factor NAME``: for the case that no administrator can sign in."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from kmes.accounts.second_factor import services
from kmes.core.actor import SYSTEM
from kmes.core.errors import ConflictError


class Command(BaseCommand):
    """Remove a user's second factor from the server's shell; logged like the same action on the page."""

    help = "Remove the second factor of a user who lost it, and end the user's sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user's name."""
        parser.add_argument("name")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Remove it."""
        user = get_user_model().objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['name']}.")
        try:
            services.reset(user=user, actor=SYSTEM)
        except ConflictError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"The second factor of {user} is removed; the password alone signs in.")
