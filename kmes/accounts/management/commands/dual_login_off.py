"""``manage.py dual_login_off``: for the case that no second administrator can sign in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from kmes.accounts.dual_login import policy
from kmes.core.actor import SYSTEM


class Command(BaseCommand):
    """Turn dual login off from the server's shell; logged like the same change on the page."""

    help = "Turn dual login off, when nobody can sign in as second administrator any more."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Turn it off."""
        is_changed = policy.turn_off(actor=SYSTEM)
        self.stdout.write("Dual login is off." if is_changed else "Dual login was off already.")
