"""``manage.py reset_password NAME``: a one-time password, for the case that no administrator can sign in."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from axes.utils import reset as forget_failures
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from kmes.accounts import services
from kmes.core.actor import SYSTEM


class Command(BaseCommand):
    """Give a user access again from the server's shell; logged like the same action on the page."""

    help = "Give a user a one-time password, reactivate them if they were deactivated, and forget failed sign-ins."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the user's name."""
        parser.add_argument("name")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the password once; it is stored nowhere in clear."""
        user = get_user_model().objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['name']}.")
        act = services.reset_password if user.is_active else services.reactivate_user
        password = act(user=user, actor=SYSTEM)
        forget_failures(username=user.get_username())
        self.stdout.write(f"{user}  {password.reveal()}")
