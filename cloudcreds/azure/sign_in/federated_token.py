"""The token file of workload identity federation. Only the installation's settings name it, never a form.

Whoever runs the worker (such as Kubernetes) writes the file and renews it, so it is read for each sign-in
(docs/azure.md#ways-to-sign-in).
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.secret_types import SecretText

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
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise _unusable(
            _("The token file %(path)s can't be read (%(error)s).") % {"path": path, "error": type(error).__name__}
        ) from None
    if len(text) > MAX_BYTES or not _COMPACT.fullmatch(text):
        raise _unusable(_("The token file %(path)s holds no token.") % {"path": path})
    return SecretText(text)


def _unusable(what: str) -> CloudError:
    return CloudError(
        CloudErrorKind.TOKEN_FILE,
        what,
        _("Let whoever runs the cloud worker set KMES_FEDERATED_TOKEN_FILE to the file that its platform renews."),
    )
