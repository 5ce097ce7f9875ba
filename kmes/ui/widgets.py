"""Form controls for long lists: one that is quick to render, and one that is searched on the server."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _


class LongSelect(forms.Select):
    """A select for thousands of entries; Django would render a template for each entry."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:  # noqa: ARG002 - Django's signature
        """Return the select with its options; option groups are not supported."""
        chosen = {str(each) for each in self.format_value(value)}
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                ("" if code is None else code, SafeString(" selected") if str(code) in chosen else "", label)
                for code, label in self.choices
            ),
        )
        given = {**self.build_attrs(self.attrs, attrs), "name": name}
        return format_html("<select{}>{}</select>", flatatt(given), options)


class SuggestInput(forms.TextInput):
    """A field for one of thousands of names: ``suggest.js`` asks ``url`` for some that hold what was typed.

    Without script the whole name is typed.
    """

    input_type = "search"

    def __init__(self, url: Any) -> None:
        super().__init__({"autocomplete": "off", "data-when-left": True})
        self.url = url

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """Return the field with its empty list of suggestions, which the script fills and shows."""
        list_id = f"{(attrs or {}).get('id', name)}-names"
        given = {**(attrs or {}), "data-suggest": str(self.url), "data-suggest-list": list_id}
        return format_html(
            '{}<ul id="{}" class="suggest-list" role="listbox" aria-label="{}" hidden></ul>',
            super().render(name, value, given, renderer),
            list_id,
            _("Suggestions"),
        )
