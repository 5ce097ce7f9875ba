"""The cloud in memory as a provider: a second implementation of ``cloudcreds.provider.protocol``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from cloudcreds.provider import send_deadline
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.calls import AnswerFacts, VaultCalls
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.guidance import Guide, Remedy
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.types import (
    ChangeLimit,
    CredentialAccess,
    CredentialColumns,
    DeletedKey,
    KekPublicKey,
    ProbeResult,
    RotationPolicy,
    VaultInfo,
    VaultKey,
    VaultListing,
    VersionInfo,
)
from hsm.types import KeySpec
from kmes.core.clock import now
from kmes.core.errors import InputError
from tests.cloudcreds.provider.memory_cloud import RETENTION, AnswerLost, MemoryCloud, Refused, Vault, Version

KINDS = {
    "wrong_client": CloudErrorKind.WRONG_CLIENT,
    "wrong_secret": CloudErrorKind.WRONG_SECRET,
    "not_permitted": CloudErrorKind.PERMISSION,
    "missing": CloudErrorKind.NOT_FOUND,
    "deleted": CloudErrorKind.SOFT_DELETED,
    "protected": CloudErrorKind.PURGE_PROTECTED,
    "disabled": CloudErrorKind.KEY_DISABLED,
    "no_hsm": CloudErrorKind.NO_HSM_KEYS,
    "throttled": CloudErrorKind.THROTTLED,
    "bad_request": CloudErrorKind.REFUSED_INPUT,
}


class MemoryKeyCalls(VaultCalls):
    """The way to one vault of the cloud in memory."""

    client_errors = (Refused, AnswerLost)

    def __init__(
        self, cloud: MemoryCloud, access: CredentialAccess, url: str, *, recorder: Recorder, backoff: Backoff
    ) -> None:
        self._cloud, self._access, self._url = cloud, access, url
        super().__init__(vault_name(url) if url else "", recorder=recorder, backoff=backoff)

    # --- how a call goes ---------------------------------------------------------------------
    def translate(self, error: Any, *, mutating: bool, permission: str, subject: str) -> CloudError:
        if isinstance(error, AnswerLost):
            kind = CloudErrorKind.UNKNOWN_OUTCOME if mutating else CloudErrorKind.UNREACHABLE
            return CloudError(kind, f"The answer about {subject} was lost.")
        kind = KINDS[error.code]
        missing = permission if kind == CloudErrorKind.PERMISSION else ""
        remedy = f"Grant {permission.capitalize()}." if missing else ""
        return CloudError(kind, f"{subject}: {error.text}.", remedy, permission=missing, request_id="memory-request")

    @property
    def _vault_here(self) -> Vault:
        return self._cloud.vaults[self._url]

    def _ask(
        self,
        event: str,
        permission: str,
        effect: Callable[[Vault], Any],
        *,
        key: str = "",
        mutating: bool = False,
        convert: Callable[[Any], Any] = lambda answer: answer,
        message: str = "",
    ) -> Any:
        def operation(facts: AnswerFacts) -> Any:
            self._cloud.sign_in(self._access.client_id, self._access.proof.secret.reveal())
            if mutating:
                send_deadline.check("POST")
            answer = self._cloud.request(permission, lambda: effect(self._vault_here), mutating=mutating)
            facts.http_status, facts.request_id = 200, "memory-request"
            return convert(answer)

        return self.call(
            event, operation, permission=permission, key=key, mutating=mutating, message=lambda _answer: message
        )

    # --- VaultGateway ------------------------------------------------------------------------
    def get_token(self) -> None:
        self.call(
            "azure.token_obtained",
            lambda _facts: self._cloud.sign_in(self._access.client_id, self._access.proof.secret.reveal()),
            permission="",
        )

    def create_kek(self, name: str, bits: int, *, expires_on: datetime, tags: dict[str, str]) -> KekPublicKey:
        return self._ask(
            "azure.kek_created",
            "create",
            lambda vault: vault.create_kek(name, bits, expires_on=expires_on, tags=tags),
            key=name,
            mutating=True,
            convert=lambda version: self._kek(name, version),
            message=f"Ephemeral key {name} created",
        )

    def read_kek(self, name: str, bits: int) -> KekPublicKey | None:
        return self.none_if_missing(
            lambda: self._ask(
                "azure.kek_public_read",
                "get",
                lambda vault: vault.version(name),
                key=name,
                convert=lambda version: self._kek(name, version),
            )
        )

    def build_transfer_blob(self, kek: KekPublicKey, ciphertext: bytes) -> bytes:
        return json.dumps({"kek": kek.kid, "wrapped": base64.b64encode(ciphertext).decode()}).encode()

    def import_key(
        self,
        name: str,
        *,
        spec: KeySpec,
        blob: bytes,
        key_ops: list[str],
        enabled: bool,
        expires_on: datetime | None,
        tags: dict[str, str],
    ) -> VaultKey:
        return self._ask(
            "azure.key_imported",
            "import",
            lambda vault: vault.import_key(
                name,
                spec=spec.value,
                blob=blob,
                operations=key_ops,
                enabled=enabled,
                expires_on=expires_on,
                tags=dict(tags),
            ),
            key=name,
            mutating=True,
            convert=lambda version: self._key(name, version),
            message=f"A version of {name} imported",
        )

    def get_key(self, name: str, version: str = "") -> VaultKey | None:
        return self.none_if_missing(
            lambda: self._ask(
                "azure.key_read",
                "get",
                lambda vault: vault.version(name, version),
                key=name,
                convert=lambda found: self._key(name, found),
            )
        )

    def list_versions(self, name: str) -> list[VersionInfo]:
        return self._ask(
            "azure.versions_listed",
            "list",
            lambda vault: list(vault.versions(name)),
            key=name,
            convert=lambda found: [self._row(name, version) for version in found],
        )

    def update_version(
        self,
        name: str,
        version: str,
        *,
        enabled: bool | None = None,
        expires_on: datetime | None = None,
        not_before: datetime | None = None,
        operations: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> VaultKey:
        times = {"expires_on": expires_on, "not_before": not_before}
        given = {"enabled": enabled, **times, "operations": operations, "tags": tags}
        changes = {attribute: value for attribute, value in given.items() if value is not None}
        return self._ask(
            "azure.version_updated",
            "update",
            lambda vault: vault.update(name, version, **changes),
            key=name,
            mutating=True,
            convert=lambda found: self._key(name, found),
        )

    # --- converting --------------------------------------------------------------------------
    @property
    def _level(self) -> str:
        return "Recoverable" if self._vault_here.purge_protected else "Recoverable+Purgeable"

    def _kid(self, name: str, version: Version) -> str:
        return f"{self._url}/keys/{name.lower()}/{version.id}"

    def _kek(self, name: str, version: Version) -> KekPublicKey:
        numbers = version.private.public_key().public_numbers()
        lifetime = version.expires_on - version.created_on if version.expires_on else None
        return KekPublicKey(
            self._kid(name, version), name, version.id, numbers.n, numbers.e, self._level, RETENTION.days, lifetime
        )

    def _key(self, name: str, version: Version) -> VaultKey:
        row = self._row(name, version)
        return VaultKey(
            row.kid,
            name,
            row.version,
            f"{version.family}-HSM",
            version.spki,
            row.enabled,
            row.created_on,
            row.expires_on,
            self._level,
            RETENTION.days,
            version.operations,
            row.tags,
            not_before=row.not_before,
        )

    def _row(self, name: str, version: Version) -> VersionInfo:
        kid = self._kid(name, version)
        shown = VersionInfo(kid, version.id, version.enabled, version.created_on, version.expires_on)
        return replace(shown, tags=dict(version.tags), not_before=version.not_before)


class MemoryGateway(MemoryKeyCalls):
    """``VaultGateway`` for the cloud in memory."""

    def delete_key(self, name: str) -> DeletedKey:
        event = "azure.kek_deleted" if name.startswith("kmes-kek-") else "azure.key_deleted"
        return self._ask(
            event,
            "delete",
            lambda vault: vault.delete(name),
            key=name,
            mutating=True,
            convert=lambda at: DeletedKey(name, f"memory/{name}", at, at + RETENTION),
        )

    def get_deleted(self, name: str) -> DeletedKey | None:
        def find(vault: Vault) -> DeletedKey:
            if name.lower() not in vault.deleted:
                raise Refused("missing", f"there is no deleted key {name}")
            at = vault.deleted[name.lower()][0]
            return DeletedKey(name, f"memory/{name}", at, at + RETENTION)

        return self.none_if_missing(lambda: self._ask("azure.deleted_key_read", "get", find, key=name))

    def recover_key(self, name: str) -> None:
        self._ask("azure.key_recovered", "recover", lambda vault: vault.recover(name), key=name, mutating=True)

    def purge_key(self, name: str) -> None:
        event = "azure.kek_purged" if name.startswith("kmes-kek-") else "azure.key_purged"
        self._ask(event, "purge", lambda vault: vault.purge(name), key=name, mutating=True)

    def list_key_names(self, prefix: str) -> list[str]:
        return self._ask(
            "azure.key_read", "list", lambda vault: [name for name in vault.keys if name.startswith(prefix)]
        )

    def sign(self, name: str, version: str, *, spec: KeySpec, message: bytes) -> bytes:
        return self._ask("azure.key_signed", "sign", lambda vault: vault.sign(name, version, message), key=name)

    def get_rotation_policy(self, name: str) -> RotationPolicy | None:
        def find(vault: Vault) -> RotationPolicy:
            vault.version(name)
            return RotationPolicy(**vault.rotation.get(name.lower(), {"notify_before_expiry": "P30D"}))

        return self.none_if_missing(
            lambda: self._ask("azure.rotation_policy_read", "getrotationpolicy", find, key=name)
        )

    def replace_rotation_policy(self, name: str, policy: RotationPolicy) -> RotationPolicy:
        def replace_it(vault: Vault) -> RotationPolicy:
            vault.version(name)
            vault.rotation[name.lower()] = asdict(policy)
            return policy

        return self._ask("azure.rotation_policy_set", "setrotationpolicy", replace_it, key=name, mutating=True)

    def list_vaults(self) -> VaultListing:
        def listed(_facts: AnswerFacts) -> VaultListing:
            self._cloud.sign_in(self._access.client_id, self._access.proof.secret.reveal())
            vaults = [
                VaultInfo(
                    vault.name,
                    vault.url,
                    "premium" if vault.holds_hsm_keys else "standard",
                    soft_delete=True,
                    retention_days=RETENTION.days,
                    purge_protected=vault.purge_protected,
                )
                for vault in sorted(self._cloud.vaults.values(), key=lambda vault: vault.name)
            ]
            return VaultListing(vaults)

        return self.call("azure.vaults_listed", listed, permission="")

    def probe_permissions(self, prefix: str) -> Iterator[ProbeResult]:
        token = _try("Token", self.get_token)
        yield token
        if token.ok and self._url:
            yield _try("List", lambda: self.list_key_names(prefix))
            yield _try("Get", lambda: self.get_key(f"{prefix}-none"))
            tier = "premium" if self._vault_here.holds_hsm_keys else "standard"
            yield replace(_try("Tier", lambda: None), facts={"tier": tier, "recovery_level": self._level})


class MemoryProvider:
    """``CloudProvider`` for the cloud in memory."""

    service = "memory"

    def __init__(self, cloud: MemoryCloud) -> None:
        self.cloud = cloud

    def open_gateway(
        self, access: CredentialAccess, vault_url: str, *, recorder: Recorder, backoff: Backoff
    ) -> MemoryGateway:
        return MemoryGateway(self.cloud, access, vault_url, recorder=recorder, backoff=backoff)

    def clean_vault_url(self, text: str, *, cloud: str) -> str:
        url = text if text.startswith("https://") else f"https://{text}.memory.test"
        if url not in self.cloud.vaults:
            raise InputError("There is no such vault.", "Choose one from the list.", field="vault")
        return url

    def vault_name(self, url: str) -> str:
        return vault_name(url)

    def set_up_guide(self, credential: CredentialColumns | None, *, vault: str) -> Guide:
        return Guide([], [], [], [])

    def check_label(self, check: str) -> str:
        return check

    def remedy_for(self, check: str, kind: str, *, credential: CredentialColumns, vault: str, otherwise: str) -> Remedy:
        return Remedy(otherwise)

    def change_limit(self, cloud: str) -> ChangeLimit | None:
        return None


def vault_name(url: str) -> str:
    return url.removeprefix("https://").partition(".")[0]


def _try(name: str, call: Callable[[], object]) -> ProbeResult:
    at = now().isoformat(timespec="seconds")
    try:
        call()
    except CloudError as error:
        return ProbeResult(name, False, error.what, error.remedy, kind=str(error.kind), at=at)
    return ProbeResult(name, True, "in order", at=at)
