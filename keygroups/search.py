"""Finds key groups and keys for the command palette: by name, owner, thumbprint, Azure version.

One query each, limited to the number that is shown. Matches at the beginning come first.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.ui.search import Hit, Provider, register, register_background


def register_all() -> None:
    """Register the two providers, and that groups can be added."""
    register(
        Provider(name="groups", label=_("Key groups"), find=find_groups, order=10),
        Provider(name="keys", label=_("Keys"), find=find_keys, order=20),
    )
    register_background("groups", icon="group", order=10)


def find_groups(text: str, limit: int) -> list[Hit]:
    """Return groups by name, name in Azure, or owner."""
    matching = Q(name__icontains=text) | Q(azure_name__icontains=text) | Q(owner__icontains=text)
    groups = KeyGroup.objects.select_related("vault").filter(matching)
    return [
        Hit(
            label=group.name,
            url=group.get_absolute_url(),
            icon="group",
            detail=f"{group.key_spec} · {group.vault.name}",
            actions_url=reverse("keygroups:group_actions", args=[group.pk]),
            target="group",
            obj=group,
            other_names=(group.azure_name,),
        )
        for group in best_first(groups, text)[:limit]
    ]


def find_keys(text: str, limit: int) -> list[Hit]:
    """Return keys by name, or by the beginning of their thumbprint or of a version in Azure."""
    versions = CloudVersion.objects.filter(azure_version__istartswith=text).values("key_id")
    matching = Q(name__icontains=text) | Q(thumbprint__startswith=text.lower()) | Q(pk__in=versions)
    newest = CloudVersion.objects.filter(key=OuterRef("pk")).order_by("-updated_at")
    keys = Key.objects.defer("wrapped_private", "public_spki").select_related("group__vault").filter(matching)
    keys = keys.annotate(newest_version=Subquery(newest.values("azure_version")[:1]))
    return [
        Hit(
            label=key.name,
            url=key.get_absolute_url(),
            icon="key",
            detail=f"{key.group.name} · {key.key_spec}",
            actions_url=reverse("keygroups:key_actions", args=[key.pk]),
            target="key",
            obj=key,
            other_names=(key.thumbprint, key.newest_version or ""),
        )
        for key in best_first(keys, text)[:limit]
    ]


def best_first(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Return the rows whose names begin with the text before the others."""
    begins = Case(When(name__istartswith=text, then=Value(0)), default=Value(1), output_field=IntegerField())
    return rows.order_by(begins, "name", "pk")
