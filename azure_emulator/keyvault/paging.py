"""Pages of a listing and the links between them.

Owns ``maxresults``, ``$skiptoken`` and ``nextLink``. The token names the last entry
shown, so that entries added or removed meanwhile do not shift pages. Must not know what is
listed.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from azure_emulator import json_input
from azure_emulator.keyvault import errors
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.material import b64url, unb64url

MAX_PAGE = 25


def page_size(call: Call) -> int:
    """What the client asked for, within the limits of the service and of the settings."""
    largest = call.state.settings.page_size
    given = call.query.get("maxresults")
    if given is None:
        return largest
    if not re.fullmatch("[0-9]{1,2}", given) or not 1 <= int(given) <= MAX_PAGE:
        raise errors.bad_parameter(f"Invalid maxresults value: {given}. It must be between 1 and {MAX_PAGE}")
    return min(int(given), largest)


def start_after(call: Call) -> str:
    """The last entry of the page before."""
    token = call.query.get("$skiptoken")
    if token is None:
        return ""
    try:
        marker = json_input.parse(unb64url(token))["NextMarker"]
    except (ValueError, KeyError, TypeError) as error:
        raise errors.bad_parameter("The $skiptoken is not valid.") from error
    if not isinstance(marker, str):
        raise errors.bad_parameter("The $skiptoken is not valid.")
    return marker


def next_link(call: Call, path: str, marker: str) -> str:
    """The address of the page after ``marker``."""
    # The service's links include the port even when it is the default one.
    base = call.base if re.search(r":[0-9]+$", call.base) else f"{call.base}:443"
    query = {"api-version": call.api_version, "$skiptoken": b64url(json.dumps({"NextMarker": marker}).encode())}
    if "maxresults" in call.query:
        query["maxresults"] = call.query["maxresults"]
    return f"{base}{quote(path)}?{urlencode(query, safe='$')}"


def page(call: Call, path: str, names: list[str], shown: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """One page of ``names``, which must be sorted."""
    size, marker = page_size(call), start_after(call)
    start = bisect.bisect_right(names, marker) if marker else 0
    chosen = names[start : start + size]
    more = start + size < len(names)
    return {
        "value": [shown(name) for name in chosen],
        "nextLink": next_link(call, path, chosen[-1]) if more else None,
    }
