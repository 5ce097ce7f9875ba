"""Pages that notices about keys and groups link to."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from keygroups.models import KeyGroup, group_url
from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register

_EXPIRY_EVENTS = ("key.version_expiring", "credential.secret_expiring", "credential.certificate_expiring")


def _expiring_report(entries: Sequence[LogEntry]) -> str:
    several = len(entries) > 1 and entries[0].event in _EXPIRY_EVENTS
    return reverse("reports:report", args=["expiring"]) if several else ""


def _vault_page(entries: Sequence[LogEntry]) -> str:
    """Return the vault's page for a Rotate action, which can be replaced there."""
    if entries[0].event != "azure.rotate_action_found":
        return ""
    vault_id = KeyGroup.objects.filter(pk=entries[0].group_id).values_list("vault_id", flat=True).first()
    return reverse("keygroups:vault", args=[vault_id]) if vault_id else ""


def _key_page(entries: Sequence[LogEntry]) -> str:
    key_id = entries[0].key_id
    return reverse("keygroups:key_detail", args=[key_id]) if key_id else ""


def _group_page(entries: Sequence[LogEntry]) -> str:
    group_id = entries[0].group_id
    return group_url(group_id) if group_id else ""


def register_all() -> None:
    """Register the links of this app."""
    register("expiring", _expiring_report, order=10)
    register("vault", _vault_page, order=20)
    register("key", _key_page, order=30)
    register("group", _group_page, order=40)
