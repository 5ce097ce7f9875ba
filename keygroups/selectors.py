"""Reads of groups, keys and versions for the Keys view. Never loads a wrapped private half."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Exists, F, Max, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import KeyVault
from keygroups.choices import KeyState, SlotState, VersionState
from keygroups.models import CloudVersion, Key, KeyGroup, Observation, RotationSlot
from keygroups.rotation_standing import is_due_soon, is_late
from keygroups.states import group_state
from kmes.core.clock import now

EXPIRY_DAYS = 30
VERSIONS_SHOWN = 50


class Attention:
    """Values of the filter ``?show=``: what needs attention."""

    ALL = ""
    LATE = "late"
    DUE = "due"
    EXPIRING = "expiring"
    MISSING = "missing"
    DRIFT = "drift"


ATTENTION_LABELS = {
    Attention.ALL: _("All states"),
    Attention.LATE: _("Rotation late"),
    Attention.DUE: _("Rotation due within 7 days"),
    Attention.EXPIRING: _("Active version expires soon"),
    Attention.MISSING: _("Missing in the vault"),
    Attention.DRIFT: _("Differs from the vault"),
}
# Filters of keys. The others filter groups.
KEY_FILTERS = (Attention.EXPIRING, Attention.MISSING)


def list_groups(
    *, search: str = "", show: str = "", vault_id: UUID | None = None, state: str = ""
) -> QuerySet[KeyGroup]:
    """Return the groups by name, each with its vault, the number of its present keys (``key_count``) and its state.

    ``state`` and the annotation ``shown_state`` are keys of ``states.GROUP_STATES``. ``has_slot`` says whether a due
    moment is being served or will be tried again.
    """
    # A subquery instead of a join, so that the number of groups can be counted.
    present = Key.objects.filter(group=OuterRef("pk"), state=KeyState.PRESENT).order_by()
    groups = KeyGroup.objects.select_related("vault", "credential").annotate(
        key_count=Coalesce(Subquery(present.values("group").annotate(number=Count("pk")).values("number")), 0),
        shown_state=group_state(),
        has_slot=_has_slot(),
    )
    if vault_id is not None:
        groups = groups.filter(vault_id=vault_id)
    if state:
        groups = groups.filter(shown_state=state)
    if show in KEY_FILTERS:
        groups = groups.filter(Exists(CloudVersion.objects.filter(_version_filter(show), group=OuterRef("pk"))))
    elif show == Attention.LATE:
        groups = groups.filter(is_late())
    elif show == Attention.DRIFT:
        groups = groups.filter(differences__gt=0)
    elif show == Attention.DUE:
        groups = groups.filter(is_due_soon())
    if search:
        matching = Key.objects.filter(_key_search(search)).order_by().values("group")
        groups = groups.filter(
            Q(name__icontains=search)
            | Q(azure_name__icontains=search)
            | Q(vault__name__icontains=search)
            | Q(owner__icontains=search)
            | Q(pk__in=matching)
            | _has_tag(search)
        )
    return groups.order_by("name")


def _has_slot() -> Exists:
    is_served = Q(state=SlotState.PENDING, job_id__isnull=False)
    return Exists(RotationSlot.objects.filter(is_served | Q(due_at=OuterRef("next_due_at")), group=OuterRef("pk")))


def is_expiring() -> Q:
    """Return the condition of a version that is active and expires soon. Superseded ones may expire."""
    return Q(state=VersionState.ACTIVE, expires_at__lte=now() + timedelta(days=EXPIRY_DAYS))


def _has_tag(search: str) -> Q:
    """Return the condition of a group with a tag that was typed as ``name=value``; of none without an equals sign."""
    name, sign, value = (part.strip() for part in search.partition("="))
    return Q(Exact(KeyTextTransform(name, "tags"), value)) if sign and name else Q(pk__in=[])


def _version_filter(show: str) -> Q:
    return Q(state=VersionState.MISSING) if show == Attention.MISSING else is_expiring()


def _key_search(search: str) -> Q:
    # Thumbprints and Azure's versions are lower-case hexadecimal. An exact comparison can use the index.
    exact = search.lower()
    versions = CloudVersion.objects.filter(azure_version__startswith=exact).order_by().values("key")
    return Q(name__icontains=search) | Q(thumbprint__startswith=exact) | Q(pk__in=versions)


def list_keys(
    *,
    group_id: UUID | None = None,
    search: str = "",
    show: str = "",
    vault_id: UUID | None = None,
    state: str = "",
) -> QuerySet[Key]:
    """Return keys, newest first, with group and versions; of one group, or of all that match.

    If the chosen group itself matches the search, all its keys are returned.
    """
    keys = Key.objects.defer("wrapped_private", "public_spki").select_related("group", "group__vault")
    keys = keys.prefetch_related(Prefetch("cloud_versions", queryset=CloudVersion.objects.order_by("-updated_at")))
    if group_id is not None:
        keys = keys.filter(group_id=group_id)
    if vault_id is not None:
        keys = keys.filter(group__vault_id=vault_id)
    if state:
        keys = keys.filter(group__in=KeyGroup.objects.alias(shown=group_state()).filter(shown=state).order_by())
    if show in KEY_FILTERS:
        keys = keys.filter(Exists(CloudVersion.objects.filter(_version_filter(show), key=OuterRef("pk"))))
    if search:
        found = _key_search(search)
        keys = keys.filter(found if group_id is None else found | Q(group__name__icontains=search))
    return keys.order_by("-created_at", "name")


def list_vaults_in_use() -> list[KeyVault]:
    """Return the vaults that have groups, each with their number (``group_count``)."""
    counted = KeyVault.objects.annotate(group_count=Count("groups")).filter(group_count__gt=0)
    return list(counted.select_related("credential").order_by("name", "credential__name"))


def count_by_state() -> dict[str, int]:
    """Return how many groups are in each of ``states.GROUP_STATES``; those without groups are left out."""
    counted = KeyGroup.objects.order_by().annotate(shown=group_state()).values_list("shown").annotate(count=Count("pk"))
    return dict(counted)


def find_group(group_id: UUID) -> KeyGroup | None:
    """Return a group as ``list_groups`` does, or None."""
    return list_groups().filter(pk=group_id).first()


def find_key(key_id: UUID) -> Key | None:
    """Return a key with its group and vault, or None."""
    keys = Key.objects.defer("wrapped_private").select_related("group", "group__vault", "group__credential")
    return (
        keys.prefetch_related(
            Prefetch("cloud_versions", queryset=CloudVersion.objects.select_related("vault").order_by("-updated_at"))
        )
        .filter(pk=key_id)
        .first()
    )


def list_versions(group: KeyGroup) -> list[CloudVersion]:
    """Return the newest versions of the group's Azure key, newest first, with their keys."""
    # A version that is being pushed has no time yet and is the newest.
    order = F("pushed_at").desc(nulls_first=True)
    versions = group.cloud_versions.select_related("key").defer("key__wrapped_private", "key__public_spki")
    return list(versions.order_by(order, "-ordinal", "-updated_at")[:VERSIONS_SHOWN])


def list_observations(group: KeyGroup) -> list[Observation]:
    """Return what the vault showed of the group's versions, newest first, with versions and keys."""
    rows = group.observations.select_related("version__key")
    return list(rows.defer("version__key__wrapped_private", "version__key__public_spki"))


def find_observation(version: CloudVersion) -> Observation | None:
    """Return what the vault showed of a version when it was last seen."""
    rows = Observation.objects.filter(version=version, azure_version=version.azure_version)
    return rows.select_related("version").first()


def list_strangers(group: KeyGroup) -> list[Observation]:
    """Return the versions of the group's Azure key that were made outside this console, newest first."""
    return list(_strangers(group)[:VERSIONS_SHOWN])


def count_strangers(group: KeyGroup) -> int:
    """Return how many versions of the group's Azure key were made outside this console, as last compared."""
    return _strangers(group).count()


def _strangers(group: KeyGroup) -> QuerySet[Observation]:
    return group.observations.filter(version=None, is_present=True)


def has_vault_answered(group: KeyGroup) -> bool:
    """Return whether the group's vault has ever answered: to a test, a listing, a comparison or a push."""
    if group.vault.seen_at or group.compared_at:
        return True
    return KeyVault.objects.filter(pk=group.vault_id, groups__cloud_versions__pushed_at__isnull=False).exists()


def list_vaults() -> QuerySet[KeyVault]:
    """Return all known vaults by credential and name."""
    return KeyVault.objects.select_related("credential").order_by("credential__name", "name")


def read_digest(group: KeyGroup | None, keys: QuerySet[Key]) -> tuple[str, int]:
    """Return a digest that changes when anything shown of these keys changes, and how many keys there are. One query."""
    counted = keys.order_by().aggregate(
        count=Count("pk", distinct=True),
        made=Max("created_at"),
        destroyed=Max("destroyed_at"),
        moved=Max("cloud_versions__updated_at"),
        versions=Count("cloud_versions", distinct=True),
    )
    seen = repr(
        (
            sorted(counted.items(), key=str),
            group and (group.pk, group.lock_version, group.updated_at, group.compared_at),
            group and (group.differences, group.current_version),
        )
    )
    return hashlib.sha256(seen.encode()).hexdigest()[:16], counted["count"]
