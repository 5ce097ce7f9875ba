"""Forms of channels: the target, and the threshold of each topic."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.core.errors import InputError
from logging_reports.choices import Topic
from logging_reports.notices import webhook_addresses
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import IN_CONSOLE_ONLY, ChannelKind, Threshold
from logging_reports.notices.models import Channel

MAX_RECIPIENTS = 20
_PREFIX = "topic_"
# An export concerns only the user who requested it, so shared channels don't send it.
PERSONAL_TOPICS = frozenset({Topic.EXPORT})
_HELP = {
    Topic.EXPIRY: gettext_lazy("Info 30 days before the end, Warning at 14 and 7 days, Error at 1 day."),
    Topic.DEVICE: gettext_lazy("Its return is reported as Info."),
}


class RulesForm(forms.Form):
    """The threshold of each topic. One that is not sent stays as it is: programs know no topics of later releases."""

    topics: tuple[Topic, ...] = tuple(topic for topic in Topic if topic not in IN_CONSOLE_ONLY)

    def __init__(self, data: Any = None, *, rules: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        for topic in self.topics:
            self.fields[_PREFIX + topic] = forms.ChoiceField(
                label=topic.label,
                choices=Threshold.choices,
                initial=(rules or {}).get(topic, Threshold.OFF),
                help_text=_HELP.get(topic, ""),
                required=False,
            )

    def rule_fields(self) -> list[BoundField]:
        """Return the fields of the topics."""
        return [self[_PREFIX + topic] for topic in self.topics]

    def rules(self) -> dict[str, str]:
        """Return the thresholds of the valid form by topic."""
        names = {topic.value: _PREFIX + topic for topic in self.topics}
        return {topic: self.cleaned_data[name] or self.fields[name].initial for topic, name in names.items()}


class ChannelForm(RulesForm):
    """A shared channel. The fields depend on its kind."""

    topics = tuple(topic for topic in RulesForm.topics if topic not in PERSONAL_TOPICS)

    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    url = forms.CharField(
        label=gettext_lazy("URL"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://alerts.example.com/kmes"}),
        help_text=gettext_lazy(
            "Public hosts only, unless the administrator of this machine named others. Stored as it is: put no "
            "token in it, since each body is signed."
        ),
    )
    recipients = forms.CharField(
        label=gettext_lazy("Recipients"),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=gettext_lazy("One address a line."),
    )
    is_enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False)

    def __init__(self, data: Any = None, *, kind: str, channel: Channel | None = None) -> None:
        self.kind, self.channel = ChannelKind(kind), channel
        default = {topic.value: Threshold.WARNING.value for topic in self.topics}
        super().__init__(data, rules=channel.rules if channel else default, initial=_initial(channel))
        del self.fields["recipients" if self.kind == ChannelKind.WEBHOOK else "url"]

    def clean_name(self) -> str:
        """Refuse the name of another channel."""
        name = str(self.cleaned_data["name"])
        others = Channel.objects.filter(deleted_at__isnull=True)
        if self.channel:
            others = others.exclude(pk=self.channel.pk)
        if others.filter(name__iexact=name).exists():
            raise ValidationError(_("A channel of this name exists already."))
        return name

    def clean_url(self) -> str:
        """Refuse a URL that is not allowed. The host's addresses are checked before each delivery."""
        url = str(self.cleaned_data["url"])
        try:
            webhook_addresses.parse(url)
        except InputError as error:
            raise ValidationError(str(error)) from error
        return url

    def clean_recipients(self) -> list[str]:
        """Return the addresses, one a line."""
        found = list(dict.fromkeys(self.cleaned_data["recipients"].split()))
        if len(found) > MAX_RECIPIENTS:
            raise ValidationError(_("At most %(count)d addresses.") % {"count": MAX_RECIPIENTS})
        for address in found:
            try:
                validate_email(address)
            except ValidationError as error:
                raise ValidationError(_("%(address)s is not a mail address.") % {"address": address}) from error
        return found

    def values(self) -> ChannelValues:
        """Return the values of the valid form."""
        cleaned = self.cleaned_data
        return ChannelValues(
            name=cleaned["name"],
            is_enabled=cleaned["is_enabled"],
            url=cleaned.get("url", ""),
            recipients=cleaned.get("recipients", []),
            rules=self.rules(),
        )


def _initial(channel: Channel | None) -> dict[str, Any]:
    if channel is None:
        return {"is_enabled": True}
    return {
        "name": channel.name,
        "is_enabled": channel.is_enabled,
        "url": channel.url,
        "recipients": "\n".join(channel.recipients),
    }
