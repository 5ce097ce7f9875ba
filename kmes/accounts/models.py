"""Users of the console, their roles, and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider  # noqa: F401 - Django looks for models here
from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn  # noqa: F401 - Django looks for models here
from kmes.accounts.rights import ROLE_RIGHTS, SCOPED_RIGHTS, Right, Role, known_rights, rights_of
from kmes.accounts.scopes import Located, Place, ScopeKind, places_of
from kmes.core.withheld import WithheldCharField

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmes.accounts.session_store import SessionStore
    from kmes.core.actor import SecondAdministrator


class CustomRole(models.Model):
    """A role that users made. Only ``kmes.accounts.roles.services`` writes it."""

    # Names the role in users, approval policies and log rows. Random: that of a deleted role never comes back.
    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(_("Name"), max_length=64)
    description = models.CharField(_("Description"), max_length=200, blank=True)
    # The values of ``Right``.
    rights = models.JSONField(default=list)
    needs_second_factor = models.BooleanField(default=True)
    # Grows with each change: who saw an older one is refused.
    lock_version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="custom_role_name_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def held(self) -> frozenset[Right]:
        """Return the rights that users with the role have."""
        return known_rights(self.rights)


class User(AbstractUser):
    """A person who signs in. The role counts everywhere; more roles may count for a scope (``RoleAssignment``)."""

    # The hash; only sign-in reads it.
    password = WithheldCharField(_("password"), max_length=128, readable_by=("web",))
    # A value of ``Role``, or the code of a ``CustomRole``.
    role = models.CharField(_("Role"), max_length=16, default=Role.AUDITOR)
    # Set while the password is a one-time one: until then it opens the page that replaces it, and no other.
    one_time_until = models.DateTimeField(_("One-time password until"), null=True, blank=True)

    # Who signed in besides them in the session of this request, no column (``dual_login.middleware``).
    second_administrator: SecondAdministrator | None = None

    class Meta:
        ordering = ["username"]

    def get_absolute_url(self) -> str:
        """Return the user's page."""
        return reverse("accounts:user", args=[self.pk])

    @property
    def must_change_password(self) -> bool:
        """Return whether the password is a one-time one."""
        return self.one_time_until is not None

    def custom_role(self) -> CustomRole | None:
        """Return the role that users made, None if it is a built-in one. It is read once for this object and role."""
        known = self.__dict__.get("_custom_role")
        if known is None or known[0] != self.role:
            row = None if self.role in ROLE_RIGHTS else CustomRole.objects.filter(code=self.role).first()
            known = self.__dict__["_custom_role"] = (self.role, row)
        found: CustomRole | None = known[1]
        return found

    def get_role_display(self) -> str:
        """Return the name of the role."""
        if self.role in ROLE_RIGHTS:
            return str(Role(self.role).label)
        return str(self.custom_role() or self.role)

    @property
    def rights(self) -> frozenset[Right]:
        """Return what the user may do everywhere. A deactivated user may do nothing."""
        if not self.is_active:
            return frozenset()
        if self.role in ROLE_RIGHTS:
            return ROLE_RIGHTS[self.role]
        found = self.custom_role()
        return found.held if found is not None else frozenset()

    def has_right(self, right: str) -> bool:
        """Return whether the user may do this everywhere."""
        return right in self.rights

    @cached_property
    def scoped_roles(self) -> tuple[RoleAssignment, ...]:
        """The roles that the user has for a scope, read once for this object."""
        return tuple(self.assignments.all()) if self.pk else ()

    def may(self, right: str, *objects: Located) -> bool:
        """Return whether the user may do this with each of these objects; without objects, everywhere.

        This is the one answer to that question: pages ask it to show or hide, services and workers before they act.
        """
        if right in self.rights:
            return True
        if not self.is_active or right not in SCOPED_RIGHTS or not objects:
            return False
        places = places_of(objects)
        return bool(places) and all(right in self.rights_at(place) for place in places)

    def may_somewhere(self, right: str) -> bool:
        """Return whether the user may do this at least in some scope."""
        if right in self.rights:
            return True
        return self.is_active and right in SCOPED_RIGHTS and any(right in each.effective for each in self.scoped_roles)

    def rights_at(self, place: Place) -> frozenset[Right]:
        """Return what the user may do at a place."""
        if not self.is_active:
            return frozenset()
        scoped = (each.effective for each in self.scoped_roles if each.covers(place))
        return self.rights.union(*scoped)

    def roles_at(self, places: Iterable[Place]) -> frozenset[str]:
        """Return the codes of the roles that the user has at each of these places; without any, those everywhere."""
        wanted = tuple(places)
        if not wanted:
            return frozenset({self.role})
        at_each = [{each.role for each in self.scoped_roles if each.covers(place)} for place in wanted]
        return frozenset({self.role, *set.intersection(*at_each)})

    @property
    def role_codes(self) -> frozenset[str]:
        """Return the codes of all roles that the user has, everywhere or for a scope."""
        return frozenset({self.role, *(each.role for each in self.scoped_roles)})

    @property
    def widest_rights(self) -> frozenset[Right]:
        """Return the rights of all roles that the user has, also those without effect in their scope."""
        return self.rights.union(*(each.held for each in self.scoped_roles))


class RoleAssignment(models.Model):
    """A role that a user has for a scope only. Only ``kmes.accounts.assignments.services`` writes it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="assignments")
    # A value of ``Role``, or the code of a ``CustomRole``.
    role = models.CharField(_("Role"), max_length=16)
    scope_kind = models.CharField(_("Scope"), max_length=8, choices=ScopeKind)
    # A vault's URL, the id of a key group, or a tag as ``name=value`` (``kmes.accounts.scopes``).
    scope_value = models.CharField(max_length=520)
    given_at = models.DateTimeField()
    given_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "scope_kind", "scope_value"], name="role_once_for_user_and_scope"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.scope_kind} {self.scope_value}"

    def covers(self, place: Place) -> bool:
        """Return whether a place lies in the scope."""
        return place.is_in(self.scope_kind, self.scope_value)

    @cached_property
    def held(self) -> frozenset[Right]:
        """The rights of the role, read once for this object."""
        return rights_of(self.role)

    @property
    def effective(self) -> frozenset[Right]:
        """Return the rights that the role gives in its scope."""
        return self.held & SCOPED_RIGHTS


class FailedSignIns(models.Model):
    """How often one name failed from one address within a minute, and how many of them the Audit log has."""

    minute = models.DateTimeField()
    name = models.CharField(max_length=64)
    address = models.CharField(max_length=45, blank=True)
    tries = models.PositiveIntegerField()
    logged = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["minute", "name", "address"], name="failed_sign_ins_of_a_minute")
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.address}, {self.minute:%H:%M}"


class ConsoleSession(AbstractBaseSession):
    """A session, and whose it is; written by ``session_store`` alone. Without a user it belongs to nobody yet."""

    # The key, which signs in whoever has it, stands in the browser's cookie only.
    session_key = None  # type: ignore[assignment]
    # Its SHA-256.
    digest = models.CharField(max_length=64, primary_key=True)
    # The first half of it, which pages and log rows show.
    name = models.CharField(max_length=32, unique=True)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    address = models.CharField(_("Address"), max_length=45, blank=True)
    device = models.CharField(_("Device"), max_length=48, blank=True)
    # The hash of the provider's session that it began with; "" for one that began here.
    sign_on = models.CharField(max_length=64, blank=True, default="", db_default="", db_index=True)
    began_at = models.DateTimeField(_("Signed in"), null=True)
    used_at = models.DateTimeField(_("Last used"), null=True)

    class Meta(AbstractBaseSession.Meta):
        abstract = False

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        """Return what reads and writes these rows."""
        from kmes.accounts.session_store import SessionStore  # noqa: PLC0415 - it imports this module

        return SessionStore

    @staticmethod
    def salt_of(digest: str) -> str:
        """Return what the signature of a row's content covers besides it, so that it holds in this row alone."""
        return f"kmes.session.{digest}"

    def get_decoded(self) -> dict[str, Any]:
        """Return what the session holds; nothing where that was written past the console."""
        try:
            return dict(signing.loads(self.session_data, salt=self.salt_of(self.digest), serializer=JSONSerializer))
        except signing.BadSignature:
            return {}

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.device, self.address))) or self.name[:8]


class AuthenticatorApp(models.Model):
    """A user's authenticator app; its seed is sealed (``second_factor.seals``)."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="authenticator_app")
    sealed_seed = models.BinaryField(max_length=128)
    added_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    # The step of the newest code that was used: this and older ones are refused.
    last_step = models.BigIntegerField()

    def __str__(self) -> str:
        return f"Authenticator app of {self.user}"


class Passkey(models.Model):
    """A user's passkey; its id and public key are sealed (``second_factor.seals``), so no row serves another user."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(_("Name"), max_length=64)
    # The SHA-256 of the id that its authenticator gave it, by which it is found.
    digest = models.CharField(max_length=64, unique=True)
    sealed_credential = models.BinaryField(max_length=4096)
    # Names the user to authenticators: random, and the same for all passkeys of a user.
    handle = models.BinaryField(max_length=64)
    # The relying party: it works under this host name and those below it.
    domain = models.CharField(max_length=253)
    sign_count = models.BigIntegerField()
    # Its authenticator may copy it to other devices of its user.
    is_synced = models.BooleanField()
    added_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["added_at", "pk"]

    def __str__(self) -> str:
        return self.name


class UsedChallenge(models.Model):
    """The hash of what proves something once only (``single_use``)."""

    digest = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:8]


class RecoveryCode(models.Model):
    """The hash of a recovery code."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"Recovery code of {self.user}"


class FactorFailure(models.Model):
    """A wrong code after a right password; the limits count these."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "at"], name="factor_failures_of_a_user")]

    def __str__(self) -> str:
        return f"{self.user}, {self.at:%H:%M}"


class KnownDevice(models.Model):
    """A device and an address from which a user signed in."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    device = models.CharField(max_length=48, blank=True)
    address = models.CharField(max_length=45, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "device", "address"], name="device_known_once")]

    def __str__(self) -> str:
        return f"{self.device} from {self.address}"
