"""Reading JSON that clients sent.

Owns the one difference from the library: a document nested too deeply is malformed, not a
failure of the service. Must not know what a document means.
"""

from __future__ import annotations

import json
from typing import Any


def parse(text: str | bytes, **options: Any) -> Any:
    """The value in a JSON document; ValueError for anything else. ``options`` are those of json.loads."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("the document is nested too deeply") from error
