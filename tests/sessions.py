"""Changes what sessions hold, for tests that let time pass in a console that runs."""

from __future__ import annotations

from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing

from kmes.accounts.models import ConsoleSession


def change_sessions(name: str, seconds: float) -> None:
    """Move a time that sessions of users note."""
    for row in ConsoleSession.objects.exclude(user=None):
        held = row.get_decoded()
        if name in held:
            held[name] += seconds
            salt = ConsoleSession.salt_of(row.digest)
            row.session_data = signing.dumps(held, salt=salt, serializer=JSONSerializer, compress=True)
            row.save()
