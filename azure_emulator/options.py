"""Command line and environment: how the stand-in is configured at start.

Owns the option names, their defaults and the list of seeded vaults. Must not touch the
network; it reads only the files its options name.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from azure_emulator.identity.clients import BadClient, Client, seeded_clients, upsert
from azure_emulator.profiles import (
    CloudNames,
    Settings,
    SubscriptionProfile,
    UsageError,
    VaultProfile,
    check_profile,
    check_subscription,
)

DEFAULT_PORT = 8443
DEFAULT_STATE_DIR = "var/azure_emulator"
SEED_DOMAIN = "emulator.onmicrosoft.com"


@dataclass(frozen=True)
class Options:
    """All that was given at start."""

    host: str
    port: int
    state_dir: Path
    vaults: tuple[VaultProfile, ...]
    settings: Settings
    cloud: CloudNames = field(default_factory=CloudNames)
    clients: tuple[Client, ...] = ()
    issuers: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: tuple[SubscriptionProfile, ...] = ()
    domains: tuple[str, ...] = (SEED_DOMAIN,)
    extra_names: tuple[str, ...] = ()
    metadata_host: str = ""
    metadata_port: int | None = None
    key_pool: int = 2
    kept_keys: Path | None = None


def seeded_vaults(port: int) -> list[VaultProfile]:
    """The three vaults that always exist, each on a port of its own.

    Azure clients keep only host and port of a vault URL, so a path prefix can't tell vaults apart.
    """
    return [
        VaultProfile(name="kv-premium", port=port),
        VaultProfile(name="kv-protected", port=port + 1, purge_protection=True),
        VaultProfile(name="kv-standard", port=port + 2, sku="standard"),
    ]


def read_flag(text: str) -> bool:
    """Read a yes-or-no word."""
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off", ""}:
        return False
    raise UsageError(f"'{text}' is neither 1 nor 0.")


def read_pairs(option: str, text: str, known: set[str], needed: str) -> dict[str, str]:
    """Read ``name=value,name=value`` of an option."""
    pairs = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    unknown = set(pairs) - known
    if unknown or not pairs.get(needed):
        raise UsageError(f"{option} needs {needed}=… and knows no {', '.join(sorted(unknown)) or f'empty {needed}'}.")
    return pairs


def apply_vault_option(text: str, vaults: dict[str, VaultProfile], next_port: int) -> VaultProfile:
    """Read one ``--vault name=…,sku=…`` value; a known name changes that vault."""
    known = {
        "name",
        "sku",
        "retention",
        "purge_protection",
        "port",
        "rbac",
        "location",
        "resource_group",
        "subscription",
    }
    pairs = read_pairs("--vault", text, known, "name")
    profile = vaults.get(pairs["name"].lower(), VaultProfile(name=pairs["name"], port=next_port))
    try:
        profile = replace(
            profile,
            sku=pairs.get("sku", profile.sku).lower(),
            retention_days=int(pairs.get("retention", profile.retention_days)),
            purge_protection=read_flag(pairs.get("purge_protection", "1" if profile.purge_protection else "0")),
            rbac=read_flag(pairs.get("rbac", "1" if profile.rbac else "0")),
            port=int(pairs.get("port", profile.port)),
            location=pairs.get("location", profile.location),
            resource_group=pairs.get("resource_group", profile.resource_group),
            subscription=pairs.get("subscription", profile.subscription).lower(),
        )
    except ValueError as error:
        raise UsageError(f"--vault {text}: {error}.") from error
    return check_profile(profile)


def read_subscription_option(text: str) -> SubscriptionProfile:
    """Read one ``--subscription id=…,name=…,refuses=…`` value."""
    pairs = read_pairs("--subscription", text, {"id", "name", "refuses"}, "id")
    name = pairs.get("name", "Subscription")
    return check_subscription(SubscriptionProfile(pairs["id"].lower(), name, refuses=pairs.get("refuses", "")))


def read_file(option: str, path: str) -> str:
    """Read a file an option names."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option}: {path} can't be read.") from error


def read_clients(given: argparse.Namespace) -> tuple[Client, ...]:
    """The seeded client and what the command line says about it and others."""
    clients = seeded_clients()
    try:
        for text in given.client:
            pairs = read_pairs("--client", text, {"id", "secret", "managed_identity"}, "id")
            upsert(clients, {"client_id": pairs.pop("id"), **pairs})
        for text in given.client_certificate:
            identifier, _, path = text.partition("=")
            known = clients.get(identifier.lower())
            pems = [*(known.certificates if known else []), read_file("--client-certificate", path)]
            upsert(clients, {"client_id": identifier, "certificates": pems})
        for text in given.federated:
            pairs = read_pairs("--federated", text, {"client", "issuer", "subject", "audience"}, "client")
            known = clients.get(pairs["client"].lower())
            entry = {name: value for name, value in pairs.items() if name != "client"}
            upsert(clients, {"client_id": pairs["client"], "federated": [*(known.federated if known else []), entry]})
    except BadClient as error:
        raise UsageError(str(error)) from error
    return tuple(clients.values())


def read_issuers(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The keys of foreign issuers, from files with JSON Web Key sets."""
    issuers: dict[str, dict[str, Any]] = {}
    for text in texts:
        issuer, _, path = text.rpartition("=")
        try:
            issuers[issuer] = json.loads(read_file("--issuer", path))
        except ValueError as error:
            raise UsageError(f"--issuer: {path} is not JSON.") from error
    return issuers


def read_metadata_address(text: str | None) -> tuple[str, int | None]:
    """Host and port of the plain HTTP listener for managed identities."""
    if not text:
        return "", None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--metadata-address {text}: write HOST:PORT.")
    return host, int(port)


def build_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line, with defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m azure_emulator", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--host", default=environment.get("AZURE_EMULATOR_HOST", "127.0.0.1"), help="address to listen on")
    add("--port", type=int, default=environment.get("AZURE_EMULATOR_PORT", str(DEFAULT_PORT)), help="main port")
    add("--state-dir", type=Path, default=environment.get("AZURE_EMULATOR_STATE_DIR", DEFAULT_STATE_DIR))
    add("--vault", action="append", default=[], metavar="name=…,sku=…,retention=…,purge_protection=0|1,rbac=0|1,port=N")
    add("--subscription", action="append", default=[], metavar="id=…,name=…,refuses=CODE")
    add("--client", action="append", default=[], metavar="id=…,secret=…,managed_identity=system|user")
    add("--client-certificate", action="append", default=[], metavar="CLIENT=FILE.pem")
    add("--federated", action="append", default=[], metavar="client=…,issuer=…,subject=…,audience=…")
    add("--issuer", action="append", default=[], metavar="ISSUER=JWKS.json", help="keys of a foreign issuer")
    add("--tenant-domain", action="append", default=[SEED_DOMAIN], metavar="NAME", help="verified domain of the tenant")
    add("--vault-suffix", default=CloudNames.vault, metavar="NAME", help="host name below which vaults are")
    add("--authority-name", default=CloudNames.authority, metavar="NAME", help="host name of the token authority")
    add("--manager-name", default=CloudNames.manager, metavar="NAME", help="host name of Resource Manager")
    add("--tls-name", action="append", default=[], metavar="NAME", help="one more name or address for the certificate")
    add("--metadata-address", metavar="HOST:PORT", help="plain HTTP listener for managed identities")
    add(
        "--throttle",
        action=argparse.BooleanOptionalAction,
        default=read_flag(environment.get("AZURE_EMULATOR_THROTTLE", "0")),
    )
    add("--delete-settle", type=float, default=0.0, metavar="SECONDS")
    add("--purge-settle", type=float, default=0.0, metavar="SECONDS")
    add("--recover-settle", type=float, default=0.0, metavar="SECONDS")
    add("--latency-ms", type=float, default=environment.get("AZURE_EMULATOR_LATENCY_MS", "0"), metavar="N")
    add("--page-size", type=int, default=25, choices=range(1, 26), metavar="1-25")
    add("--token-lifetime", type=int, default=3599, metavar="SECONDS")
    add("--date-skew", type=float, default=0.0, metavar="SECONDS", help="how far the Date header is ahead")
    add("--allow-rotate-imported", action="store_true", help="let a call to rotate replace imported material")
    add("--key-pool", type=int, default=2, metavar="N", help="RSA keys kept ready per size")
    add(
        "--kept-keys",
        type=Path,
        metavar="FOLDER",
        help="for tests: hand out the RSA keys of this folder again and again, and make those that are missing",
    )
    return parser


def parse_options(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Read command line and environment."""
    given = build_parser(os.environ if environment is None else environment).parse_args(list(arguments))
    vaults = {profile.name.lower(): check_profile(profile) for profile in seeded_vaults(given.port)}
    for text in given.vault:
        next_port = max(profile.port for profile in vaults.values()) + 1
        profile = apply_vault_option(text, vaults, next_port)
        vaults[profile.name.lower()] = profile
    metadata_host, metadata_port = read_metadata_address(given.metadata_address)
    ports = [profile.port for profile in vaults.values()]
    if len(set(ports)) != len(ports):
        raise UsageError("Two vaults can't share a port.")
    settings = Settings(
        latency_ms=given.latency_ms,
        throttle=given.throttle,
        delete_settle=given.delete_settle,
        purge_settle=given.purge_settle,
        recover_settle=given.recover_settle,
        page_size=given.page_size,
        token_lifetime=given.token_lifetime,
        allow_rotate_imported=given.allow_rotate_imported,
        date_skew_seconds=given.date_skew,
    )
    return Options(
        host=given.host,
        port=given.port,
        state_dir=given.state_dir,
        vaults=tuple(vaults.values()),
        settings=settings,
        cloud=CloudNames(given.vault_suffix.lower(), given.authority_name.lower(), given.manager_name.lower()),
        clients=read_clients(given),
        issuers=read_issuers(given.issuer),
        subscriptions=tuple(read_subscription_option(text) for text in given.subscription),
        domains=tuple(name.lower() for name in given.tenant_domain),
        extra_names=tuple(given.tls_name),
        metadata_host=metadata_host,
        metadata_port=metadata_port,
        key_pool=given.key_pool,
        kept_keys=given.kept_keys,
    )
