"""Rows for the shell's tests. Nothing here asks the device or Azure."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jobs.models import Job
from keygroups.models import CloudVersion, Key
from kmes.core.clock import now


def _public_half() -> bytes:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_key(group, name, *, thumbprint="", version=""):
    """Make a key, synchronized when it gets a version."""
    key = Key.objects.create(
        group=group,
        name=name,
        key_spec="P-256",
        public_spki=_public_half(),
        wrapped_private=b"w",
        thumbprint=thumbprint,
        created_by="ada",
    )
    if version:
        CloudVersion.objects.create(
            key=key,
            group=group,
            vault=group.vault,
            azure_name=group.azure_name,
            azure_version=version,
            state="active",
            pushed_at=now(),
        )
    return key


def make_job(group, *, state="succeeded", **values):
    """Make a job on the group's key."""
    values = {"kind": "synchronize", "subject": "payments-1", **values}
    return Job.objects.create(state=state, group=group, actor_name="ada", trigger="user", run_after=now(), **values)


def body(answer) -> str:
    """The page as text."""
    return answer.content.decode()
