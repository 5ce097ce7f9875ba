"""Requests as the web process reads them: always UTF-8, whatever their headers claim.

Django reads a form in any encoding that the client names, also in such that decode no text (``hex``) or only some
(``idna``), and fails on them before a view or middleware could answer. Browsers send UTF-8
(url.spec.whatwg.org/#urlencoded-parsing; RFC 7578, section 5.1.2, has no charset in a part that browsers send).
"""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http.multipartparser import MultiPartParserError
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request that ignores which encoding its headers name."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Read the content type; one that can't be read is none."""
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (ValueError, LookupError):
            # Too long, or a parameter in an encoding that does not exist (RFC 8187).
            self.content_type, self.content_params = "", {}

    def _load_post_and_files(self) -> None:
        """Read the form. One that can't be read is empty from then on, so that an error page can be shown."""
        try:
            super()._load_post_and_files()
        except Exception:
            self._mark_post_parse_error()  # type: ignore[attr-defined] # Django has it, its stubs lack it
            raise

    def parse_file_upload(self, META: Any, post_data: Any) -> Any:  # noqa: N803 - Django's name
        """Read a form in parts.

        Raises:
            MultiPartParserError: it can't be read, also for a part's header in an encoding that does not exist.

        """
        try:
            return super().parse_file_upload(META, post_data)
        except LookupError as error:
            raise MultiPartParserError("a part of the form can't be read") from error


class Handler(WSGIHandler):
    """Django's handler, with these requests."""

    request_class = Request
