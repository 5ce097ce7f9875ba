"""Command line and environment: what the stand-in is told before it starts.

Owns the option names, their defaults and the list of seeded vaults. Must not touch
the network or the disk; values that change at run time live in ``Settings``.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# A vault name starts with a letter and has no double hyphen (Azure naming rules).
VAULT_NAME = re.compile(r"^(?=.{3,24}$)[a-zA-Z](?:-?[a-zA-Z0-9])*$")

DEFAULT_PORT = 8443
DEFAULT_STATE_DIR = "var/azure_emulator"


class UsageError(Exception):
    """The command line asks for something impossible; the text says what."""


@dataclass
class VaultProfile:
    """How one vault is set up; the fields ARM shows plus test switches."""

    name: str
    port: int
    sku: str = "premium"
    retention_days: int = 90
    purge_protection: bool = False
    rbac: bool = False
    firewall: bool = False
    throttle: bool | None = None
    delete_settle: float | None = None
    purge_settle: float | None = None
    recover_settle: float | None = None
    location: str = "westeurope"
    resource_group: str = "kmes"


@dataclass
class Settings:
    """Behaviour shared by all vaults; may be changed while running."""

    latency_ms: float = 0.0
    throttle: bool = False
    delete_settle: float = 0.0
    purge_settle: float = 0.0
    recover_settle: float = 0.0
    page_size: int = 25
    token_lifetime: int = 3599
    allow_rotate_imported: bool = False
    # How far the vaults' clock is ahead of this machine's, as clients see it in created, updated and deleted
    # stamps and in what has expired; negative is behind. Tokens keep to the machine's clock.
    clock_skew_seconds: float = 0.0
    # How far the ``Date`` header of every answer is ahead of this machine's clock; negative is behind.
    date_skew_seconds: float = 0.0


@dataclass(frozen=True)
class Options:
    """All that was given at start."""

    host: str
    port: int
    state_dir: Path
    vaults: tuple[VaultProfile, ...]
    settings: Settings
    extra_names: tuple[str, ...] = ()
    key_pool: int = 2


def seeded_vaults(port: int) -> list[VaultProfile]:
    """The three vaults that always exist, each on a port of its own.

    Azure clients keep only host and port of a vault URL, so a path prefix can't tell vaults apart.
    """
    return [
        VaultProfile(name="kv-premium", port=port),
        VaultProfile(name="kv-protected", port=port + 1, purge_protection=True),
        VaultProfile(name="kv-standard", port=port + 2, sku="standard"),
    ]


def truth(text: str) -> bool:
    """Read a yes-or-no word."""
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off", ""}:
        return False
    raise UsageError(f"'{text}' is neither 1 nor 0.")


def check_profile(profile: VaultProfile) -> VaultProfile:
    """Refuse a vault that Azure could not have."""
    if not VAULT_NAME.match(profile.name):
        raise UsageError(f"'{profile.name}' is not a valid vault name.")
    if profile.sku not in {"premium", "standard"}:
        raise UsageError(f"The sku of vault {profile.name} must be premium or standard.")
    if profile.retention_days != 0 and not 7 <= profile.retention_days <= 90:
        raise UsageError(f"The retention of vault {profile.name} must be 7 to 90 days, or 0 for no soft delete.")
    if profile.retention_days == 0 and profile.purge_protection:
        raise UsageError(f"Vault {profile.name} can't have purge protection without soft delete.")
    if not 1 <= profile.port <= 65535:
        raise UsageError(f"Port {profile.port} of vault {profile.name} is out of range.")
    return profile


def apply_vault_option(text: str, vaults: dict[str, VaultProfile], next_port: int) -> VaultProfile:
    """Read one ``--vault name=…,sku=…`` value; a known name changes that vault."""
    pairs = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    unknown = set(pairs) - {
        "name",
        "sku",
        "retention",
        "purge_protection",
        "port",
        "rbac",
        "location",
        "resource_group",
    }
    if unknown or not pairs.get("name"):
        raise UsageError(f"--vault needs name=… and knows no {', '.join(sorted(unknown)) or 'empty name'}.")
    profile = vaults.get(pairs["name"].lower(), VaultProfile(name=pairs["name"], port=next_port))
    try:
        profile = replace(
            profile,
            sku=pairs.get("sku", profile.sku).lower(),
            retention_days=int(pairs.get("retention", profile.retention_days)),
            purge_protection=truth(pairs.get("purge_protection", "1" if profile.purge_protection else "0")),
            rbac=truth(pairs.get("rbac", "1" if profile.rbac else "0")),
            port=int(pairs.get("port", profile.port)),
            location=pairs.get("location", profile.location),
            resource_group=pairs.get("resource_group", profile.resource_group),
        )
    except ValueError as error:
        raise UsageError(f"--vault {text}: {error}.") from error
    return check_profile(profile)


def build_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line, with defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m azure_emulator", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--host", default=environment.get("AZURE_EMULATOR_HOST", "127.0.0.1"), help="address to listen on")
    add("--port", type=int, default=environment.get("AZURE_EMULATOR_PORT", str(DEFAULT_PORT)), help="main port")
    add("--state-dir", type=Path, default=environment.get("AZURE_EMULATOR_STATE_DIR", DEFAULT_STATE_DIR))
    add("--vault", action="append", default=[], metavar="name=…,sku=…,retention=…,purge_protection=0|1,rbac=0|1,port=N")
    add(
        "--throttle",
        action=argparse.BooleanOptionalAction,
        default=truth(environment.get("AZURE_EMULATOR_THROTTLE", "0")),
    )
    add("--delete-settle", type=float, default=0.0, metavar="SECONDS")
    add("--purge-settle", type=float, default=0.0, metavar="SECONDS")
    add("--recover-settle", type=float, default=0.0, metavar="SECONDS")
    add("--latency-ms", type=float, default=environment.get("AZURE_EMULATOR_LATENCY_MS", "0"), metavar="N")
    add("--page-size", type=int, default=25, choices=range(1, 26), metavar="1-25")
    add("--token-lifetime", type=int, default=3599, metavar="SECONDS")
    add("--allow-rotate-imported", action="store_true", help="let Azure-side rotation replace imported material")
    add(
        "--tls-name",
        action="append",
        default=[],
        metavar="NAME",
        help="one more host name or address for the certificate",
    )
    add("--key-pool", type=int, default=2, metavar="N", help="RSA keys kept ready per size")
    return parser


def parse_options(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Read command line and environment."""
    given = build_parser(os.environ if environment is None else environment).parse_args(list(arguments))
    vaults = {profile.name.lower(): check_profile(profile) for profile in seeded_vaults(given.port)}
    for text in given.vault:
        next_port = max(profile.port for profile in vaults.values()) + 1
        profile = apply_vault_option(text, vaults, next_port)
        vaults[profile.name.lower()] = profile
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
    )
    return Options(
        host=given.host,
        port=given.port,
        state_dir=given.state_dir,
        vaults=tuple(vaults.values()),
        settings=settings,
        extra_names=tuple(given.tls_name),
        key_pool=given.key_pool,
    )
