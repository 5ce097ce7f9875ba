"""The answers of faults: one in place of the real one, and changes to any answer's JSON.

Owns default texts, the members a fault replaces and the links of faulty listings. Must
not wait, reset or cut anything.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.responses import Response

from azure_emulator.faults.model import Fault
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity import aadsts
from azure_emulator.responses import JSON_TYPE, json_response

DEFAULT_BODIES = {
    401: ("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token."),
    403: ("Forbidden", "The request is refused by a fault."),
    404: ("KeyNotFound", "The key is hidden by a fault."),
    409: ("Conflict", "The request conflicts by a fault."),
    429: (
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    ),
    500: ("InternalError", "An internal server error has occurred."),
    502: ("BadGateway", "The gateway could not reach the service."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The service did not answer in time."),
}
PLACEHOLDER_BYTES = 512


def own_answer(fault: Fault, request: HttpRequest, challenge: str | None) -> Response:
    """The answer given in place of the real one."""
    headers = challenge_headers(fault, challenge)
    if fault.body is not None:
        content_type = fault.content_type or JSON_TYPE
        response = Response(fault.body.encode(), fault.status or 200, headers)
        response.headers["content-type"] = content_type
        return response
    message = " ".join([fault.message or "", *echoed(fault, request)]).strip()
    if fault.aadsts is not None or (request.part == "entra" and fault.echo):
        refusal = aadsts.refusal(fault.aadsts or 7000215, text=message)
        refusal.status = fault.status or refusal.status
        response = refusal.response(request.headers.get("client-request-id") or str(uuid.uuid4()))
        response.headers.update(headers)
        return response
    status = fault.status or (400 if fault.echo else 200)
    code, text = DEFAULT_BODIES.get(status, ("Fault", "The answer of a fault."))
    if status == 200 and fault.message is None:
        # A placeholder for faults that cut or pad an answer without an effect.
        return json_response({"value": "A" * PLACEHOLDER_BYTES}, status, headers)
    return json_response({"error": {"code": fault.code or code, "message": message or text}}, status, headers)


def challenge_headers(fault: Fault, challenge: str | None) -> dict[str, str]:
    """The headers that belong to the status of a fault's own answer."""
    headers: dict[str, str] = {}
    if fault.status == 401 and challenge:
        headers["www-authenticate"] = challenge
        if fault.claims:
            # Continuous access evaluation: the challenge carries claims for the next token.
            headers["www-authenticate"] += f', error="insufficient_claims", claims="{fault.claims}"'
    return headers


def echoed(fault: Fault, request: HttpRequest) -> list[str]:
    """Secrets of the request, as a careless service might repeat them."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    known = {"authorization": request.headers.get("authorization", ""), "body": request.body.decode("utf-8", "replace")}
    return [known[name] if name in known else form.get(name, "") for name in fault.echo]


def changed_answer(fault: Fault, request: HttpRequest, response: Response) -> Response:
    """The answer with the fault's changes to headers and JSON members."""
    retry_after = fault.retry_after
    if retry_after is not None:
        response.headers["retry-after"] = retry_after if isinstance(retry_after, str) else f"{retry_after:g}"
    if fault.content_type and fault.body is None:
        response.headers["content-type"] = fault.content_type
    response.headers.update(fault.headers)
    if fault.empty_page or fault.endless_pages or fault.replace or fault.remove:
        change_members(fault, request, response)
    return response


def change_members(fault: Fault, request: HttpRequest, response: Response) -> None:
    """Replace and remove members of a JSON answer, links between pages included."""
    try:
        document = json.loads(bytes(response.body))
    except ValueError:
        return
    if not isinstance(document, dict):
        return
    if "value" in document and isinstance(document["value"], list):
        if fault.empty_page:
            document |= {"value": [], "nextLink": link_to_same_page(request, request.query.get("$skiptoken"))}
        if fault.endless_pages:
            document["nextLink"] = link_to_same_page(request, first_page_token(fault.hits))
    for path in fault.remove:
        remove_member(document, path.split("."))
    for path, value in fault.replace.items():
        replace_member(document, path.split("."), value)
    response.body = json.dumps(document, separators=(",", ":")).encode()
    response.headers["content-length"] = str(len(response.body))


def find_below(holder: Any, name: str) -> Any:
    """The member of an object or the numbered entry of a list; None when there is none."""
    if isinstance(holder, list):
        return holder[int(name)] if name.isdigit() and int(name) < len(holder) else None
    return holder.get(name) if isinstance(holder, dict) else None


def remove_member(document: dict[str, Any], path: list[str]) -> None:
    """Remove the member at a path, where there is one."""
    holder: Any = document
    for name in path[:-1]:
        holder = find_below(holder, name)
    if isinstance(holder, dict):
        holder.pop(path[-1], None)


def replace_member(document: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the member at a path; objects on the way are made, entries of lists are not."""
    holder: Any = document
    for name in path[:-1]:
        below = find_below(holder, name)
        if not isinstance(below, (dict, list)) and isinstance(holder, dict):
            below = holder[name] = {}
        holder = below
    if isinstance(holder, dict):
        holder[path[-1]] = value
    elif isinstance(holder, list) and find_below(holder, path[-1]) is not None:
        holder[int(path[-1])] = value


def first_page_token(number: int) -> str:
    """A token of the first page that differs from every other one."""
    marker = json.dumps({"NextMarker": "", "Page": number}).encode()
    return base64.urlsafe_b64encode(marker).rstrip(b"=").decode()


def link_to_same_page(request: HttpRequest, token: str | None) -> str:
    """An absolute link that leads to the page this request asked for."""
    query = {name: value for name, value in request.query.items() if name != "$skiptoken"}
    query["$skiptoken"] = token or first_page_token(0)
    return f"{request.base}{quote(request.path)}?{urlencode(query, safe='$')}"
