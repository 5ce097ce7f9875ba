"""Forms of destinations."""

from __future__ import annotations

import re
import ssl
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText
from logging_reports.choices import Service, Severity
from logging_reports.events import EVENTS
from logging_reports.forwarding import addresses
from logging_reports.forwarding.choices import DEFAULT_PATH, DEFAULT_PORTS, RowFormat, Start, Transport
from logging_reports.forwarding.destinations import DestinationValues
from logging_reports.forwarding.models import ForwardingDestination

MAX_CERTIFICATES, MAX_TOKEN, MAX_EVENTS_TEXT = 64_000, 256, 8000
HIGHEST_PORT = 65_535
HIGHEST_SEQUENCE = 2**31 - 1
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# A host name, or an address; nothing that a URL or a header could take for more.
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+")
_PATH = re.compile(r"/[A-Za-z0-9/_.~%?=&-]*")
_TOKEN = re.compile(r"[\x21-\x7e]*")


class DestinationForm(forms.Form):
    """A destination. ``start`` is asked for a new one only."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    transport = forms.ChoiceField(label=gettext_lazy("Transport"), choices=Transport.choices)
    row_format = forms.ChoiceField(label=gettext_lazy("Format"), choices=RowFormat.choices)
    host = forms.CharField(
        label=gettext_lazy("Host"),
        max_length=253,
        widget=forms.TextInput(attrs={"placeholder": "siem.example.com", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "The receiver's certificate must name it. Hosts of this network have to be allowed by the installation."
        ),
    )
    port = forms.IntegerField(
        label=gettext_lazy("Port"),
        min_value=1,
        max_value=HIGHEST_PORT,
        required=False,
        help_text=gettext_lazy("6514 for syslog and 8088 for a collector, if left empty."),
    )
    path = forms.CharField(
        label=gettext_lazy("Path"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": DEFAULT_PATH, "spellcheck": "false"}),
        help_text=gettext_lazy("Of the collector. Syslog has none."),
    )
    token = forms.CharField(
        label=gettext_lazy("Token"),
        max_length=MAX_TOKEN,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Of the collector. It is stored encrypted, for this address only, and never shown."),
    )
    ca_certificates = forms.CharField(
        label=gettext_lazy("CA certificates"),
        max_length=MAX_CERTIFICATES,
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "font-monospace"}),
        help_text=gettext_lazy("PEM. They alone are trusted then; if left empty, those that this machine trusts."),
    )
    services = forms.MultipleChoiceField(
        label=gettext_lazy("Logs"), choices=Service.choices, widget=forms.CheckboxSelectMultiple
    )
    lowest_severity = forms.ChoiceField(label=gettext_lazy("Lowest severity"), choices=Severity.choices)
    events = forms.CharField(
        label=gettext_lazy("Events"),
        max_length=MAX_EVENTS_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("One name a line, such as key.destroyed. If left empty, all."),
    )
    start = forms.ChoiceField(label=gettext_lazy("Begin"), choices=Start.choices, widget=forms.RadioSelect)
    is_enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False)

    def __init__(self, data: Any = None, *, destination: ForwardingDestination | None = None) -> None:
        self.destination = destination
        super().__init__(data, initial=_initial(destination))
        if destination is not None:
            del self.fields["start"]
            if destination.token:
                self.fields["token"].help_text = _("One is stored. Left empty, it stays, unless the address changes.")

    def clean_name(self) -> str:
        """Refuse the name of another destination."""
        name = str(self.cleaned_data["name"])
        others = ForwardingDestination.objects.all()
        if self.destination:
            others = others.exclude(pk=self.destination.pk)
        if others.filter(name__iexact=name).exists():
            raise ValidationError(_("A destination of this name exists already."))
        return name

    def clean_host(self) -> str:
        """Refuse what is no host, and addresses that are not allowed. Names are looked up when rows are sent."""
        host = str(self.cleaned_data["host"])
        if not _HOST.fullmatch(host):
            raise ValidationError(_("Enter a host name or an address, without scheme and port."))
        try:
            addresses.check_literal(host)
        except InputError as error:
            raise ValidationError(str(error)) from error
        return host

    def clean_ca_certificates(self) -> str:
        """Refuse what are no certificates."""
        text = str(self.cleaned_data["ca_certificates"]).strip()
        if not text:
            return ""
        if "PRIVATE KEY" in text:
            raise ValidationError(_("This holds a private key. Enter certificates only."))
        try:
            ssl.create_default_context(cadata=text)
        # TypeError: not ASCII.
        except (ssl.SSLError, ValueError, TypeError) as error:
            raise ValidationError(_("These are no certificates in PEM form.")) from error
        return text

    def clean_token(self) -> str:
        """Refuse what can't stand in a header."""
        token = str(self.cleaned_data["token"])
        if not _TOKEN.fullmatch(token):
            raise ValidationError(_("A token has printable ASCII characters only, and no spaces."))
        return token

    def clean_events(self) -> list[str]:
        """Return the names of events, one a line."""
        names = list(dict.fromkeys(self.cleaned_data["events"].split()))
        for name in names:
            if name not in EVENTS:
                raise ValidationError(_("There is no event %(name)s.") % {"name": name[:64]})
        return names

    def clean(self) -> dict[str, Any]:
        """Fill in what the transport says, and refuse what it has not."""
        cleaned = super().clean() or {}
        transport = cleaned.get("transport")
        if transport not in Transport.values:
            return cleaned
        is_collector = transport == Transport.COLLECTOR
        cleaned["port"] = cleaned.get("port") or DEFAULT_PORTS[Transport(transport)]
        cleaned["path"] = (cleaned.get("path") or DEFAULT_PATH) if is_collector else ""
        if is_collector and not _PATH.fullmatch(cleaned["path"]):
            self.add_error("path", _("Enter a path that begins with a slash."))
        if cleaned.get("token") and not is_collector:
            self.add_error("token", _("Only a collector has a token."))
        return cleaned

    def values(self) -> DestinationValues:
        """Return the values of the valid form."""
        cleaned = self.cleaned_data
        token = SecretText(cleaned["token"]) if cleaned["token"] else None
        if cleaned["transport"] == Transport.SYSLOG:
            token = SecretText("")
        return DestinationValues(
            name=cleaned["name"],
            transport=Transport(cleaned["transport"]),
            row_format=cleaned["row_format"],
            host=cleaned["host"],
            port=cleaned["port"],
            path=cleaned["path"],
            ca_certificates=cleaned["ca_certificates"],
            token=token,
            services=cleaned["services"],
            lowest_severity=cleaned["lowest_severity"],
            events=cleaned["events"],
            is_enabled=cleaned["is_enabled"],
        )


class SendAgainForm(forms.Form):
    """From which row on a log is sent again."""

    service = forms.ChoiceField(label=gettext_lazy("Log"), choices=Service.choices)
    first = forms.IntegerField(label=gettext_lazy("From row"), min_value=1, max_value=HIGHEST_SEQUENCE)


def _initial(destination: ForwardingDestination | None) -> dict[str, Any]:
    if destination is None:
        return {"is_enabled": True, "services": Service.values, "start": Start.NOW, "lowest_severity": Severity.INFO}
    names = (
        "name",
        "transport",
        "row_format",
        "host",
        "port",
        "path",
        "ca_certificates",
        "services",
        "lowest_severity",
    )
    return {
        **{name: getattr(destination, name) for name in names},
        "events": "\n".join(destination.events),
        "is_enabled": destination.is_enabled,
    }
