"""The token file of workload identity federation. Only the installation's settings name it, never a form.

Whoever runs the worker (such as Kubernetes) writes the file and renews it, so it is read for each sign-in
(docs/azure.md#ways-to-sign-in).
"""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.secret_types import SecretText

# Seconds between looks at a file that holds no whole token: some who renew it empty it first.
PAUSES = (0.1, 0.2, 0.4)
# A token with many claims has about 4 KB.
MAX_BYTES = 32 * 1024
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def read_federated_token() -> SecretText:
    """Return the token that the file holds now.

    Raises:
        CloudError: there is no such file, it can't be read, or it holds no token (kind ``token_file``).

    """
    path = settings.KMES_FEDERATED_TOKEN_FILE
    if not path:
        raise _unusable(_("No token file is named for workload identity federation."))
    for pause in PAUSES:
        try:
            return _read(path)
        except CloudError:
            time.sleep(pause)
    return _read(path)


def _read(path: str) -> SecretText:
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8-sig", "replace").strip()
    except OSError as error:
        raise _unusable(
            _("The token file %(path)s can't be read (%(error)s).") % {"path": path, "error": type(error).__name__}
        ) from None
    if len(text) > MAX_BYTES or not _is_whole(text):
        raise _unusable(_("The token file %(path)s holds no whole token.") % {"path": path})
    return SecretText(text)


def _is_whole(text: str) -> bool:
    """Return whether a text is a complete signed token (RFC 7519): the file may be read while it is being renewed."""
    if not _COMPACT.fullmatch(text):
        return False
    header, payload, signature = text.split(".")
    try:
        algorithm = json.loads(_decoded(header))["alg"]
        json.loads(_decoded(payload))
        length = len(_decoded(signature))
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    # A signature of RSA is as long as its key; of the other algorithms each has one length (RFC 7518, 3).
    lengths = {"ES256": (64,), "ES384": (96,), "ES512": (132,)}.get(str(algorithm), (256, 384, 512))
    return length in lengths


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unusable(what: str) -> CloudError:
    return CloudError(
        CloudErrorKind.TOKEN_FILE,
        what,
        _("Have the cloud worker's KMES_FEDERATED_TOKEN_FILE set to the file that its platform renews."),
    )
