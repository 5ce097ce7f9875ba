"""The signature of a self-certification: the worker asks for its jobs only if a process asked for the run itself.

A run's rows let the worker push, delete and destroy keys of a group in the name of a user. Whoever writes to the
database could otherwise name any group in them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.certifications.models import Certification
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, is_signed, sign

PURPOSE = "kmes self-certification"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sign_certification(certification: Certification) -> None:
    """Sign a run that is about to be created; a person asks for it on a page.

    Raises:
        RequestKeyError: the key of the web process can't be read.

    """
    certification.request_signer = Signer.WEB.value
    certification.request_signature = sign(_message(certification), Signer.WEB)


def is_genuine(certification: Certification) -> bool:
    """Return whether a run is as it was asked for.

    Raises:
        RequestKeyError: the public halves can't be read.

    """
    if certification.request_signer != Signer.WEB:
        return False
    try:
        return is_signed(_message(certification), bytes(certification.request_signature), Signer.WEB)
    except ValueError:
        return False


def _message(certification: Certification) -> bytes:
    return encode(
        PURPOSE,
        {
            "id": str(certification.pk),
            "code": certification.code,
            "vault": certification.vault_name,
            "group": str(certification.group_id),
            "key_spec": certification.key_spec,
            "actor": certification.actor_name,
            "requested_by": certification.requested_by_id,
            "requested_at": (certification.created_at - _EPOCH) // timedelta(microseconds=1),
            "signer": certification.request_signer,
        },
    )
