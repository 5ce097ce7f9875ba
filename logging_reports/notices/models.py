"""Tables of notices, channels, deliveries and reminders. Only ``deliveries`` changes a delivery's state.

Users are plain ids, because this app is below accounts. No row holds a secret: a webhook's signing key
is derived when it is needed (``signatures``).
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from kmes.core.ids import new_uuid
from logging_reports.choices import Service, Severity, Topic
from logging_reports.notices.choices import ChannelKind, DeliveryState


class Notice(models.Model):
    """A message to users about a log row, with the page that it links to."""

    # Rows with the same key make one notice (``creation``).
    key = models.CharField(max_length=64, unique=True)
    topic = models.CharField(_("Topic"), max_length=16, choices=Topic)
    event = models.CharField(max_length=64)
    severity = models.CharField(_("Severity"), max_length=16, choices=Severity)
    message = models.TextField(_("Message"))
    # Number of rows of the batch with this key.
    count = models.PositiveIntegerField(default=1)
    at = models.DateTimeField(_("Time"), db_index=True)
    service = models.CharField(max_length=16, choices=Service)
    sequence = models.BigIntegerField()
    # The path of the page that it links to.
    url = models.CharField(max_length=255)
    # Set for a notice to one user only.
    user_id = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.event} {self.message[:60]}"


class NoticeRead(models.Model):
    """A notice that a user has read."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="readings")
    user_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["notice", "user_id"], name="notice_read_once")]

    def __str__(self) -> str:
        return f"{self.notice_id} {self.user_id}"


class Channel(models.Model):
    """Where notices are sent: a webhook, a list of mail recipients, or one user's own mail."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    kind = models.CharField(max_length=16, choices=ChannelKind)
    name = models.CharField(_("Name"), max_length=64)
    is_enabled = models.BooleanField(_("In use"), default=True)
    url = models.CharField(_("URL"), max_length=500, blank=True)
    recipients = models.JSONField(_("Recipients"), default=list, blank=True)
    # Topic to threshold. A missing topic is off.
    rules = models.JSONField(default=dict)
    # The owner of a personal channel. The account's address is read when a mail is sent.
    user_id = models.BigIntegerField(null=True, unique=True)
    # A new salt gives a new signing key. ``key_check`` identifies the key that was shown to the user.
    salt = models.CharField(max_length=32, blank=True)
    key_check = models.CharField(max_length=6, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # Deleted channels keep their row for a while, so that a delivery created at that moment does not
    # violate its foreign key and undo its log row.
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), name="channel_name_unique", condition=Q(deleted_at__isnull=True))
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the channel's page. That of a personal channel is its owner's mail settings."""
        return reverse("notices:own_mail") if self.user_id else reverse("notices:channel", args=[self.pk])


class Delivery(models.Model):
    """One notice to send through one channel. Receivers recognize a repeat by its id."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(_("State"), max_length=16, choices=DeliveryState, default=DeliveryState.WAITING)
    # Counted when a try begins, so that one of a worker that dies counts.
    attempts = models.PositiveSmallIntegerField(_("Tries"), default=0)
    next_try_at = models.DateTimeField(_("Next try"))
    lease_until = models.DateTimeField(null=True)
    last_answer = models.CharField(_("Last answer"), max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["notice", "channel"], name="delivery_once_per_channel")]
        indexes = [
            models.Index(fields=["next_try_at"], name="delivery_waiting", condition=Q(state="waiting")),
            models.Index(fields=["channel", "-created_at"], name="delivery_of_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} {self.channel_id} {self.state}"


class Reminder(models.Model):
    """The key of a reminder that was logged, so that it is logged only once."""

    key = models.CharField(max_length=160, unique=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key
