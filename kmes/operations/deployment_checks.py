"""What ``manage.py check --deploy`` says of this installation: what is missing for production, and how to get it.

Ids are stable (docs/deployment.md#checks). Errors open the installation to somebody, warnings leave something out that a
production installation should have, and infos are for whoever reviews it. Django's own checks come beside these.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, connection
from django.utils.translation import gettext as _

from kmes.core.clock import now
from kmes.operations import database_roles
from kmes.operations.database_rights import PROCESSES
from logging_reports.models import LogEntry

TAG = "deployment"
LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1", "[::1]"})
BACKUP_EVERY = timedelta(days=7)
# Anybody but the owner.
OPEN_TO_OTHERS = 0o077


def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Return what every check finds."""
    return [message for check in CHECKS for message in check()]


# --- Pages ------------------------------------------------------------------------------------
def _debug() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            _("KMES_DEBUG is on: error pages show settings and values of the code."),
            hint=_("Unset it."),
            id="kmes.E001",
        )


def _plain_http() -> Iterator[CheckMessage]:
    if settings.KMES_INSECURE_HTTP:
        yield Error(
            _("KMES_INSECURE_HTTP is on: session cookies are sent without TLS."),
            hint=_("Unset it, and put a proxy with TLS before the web process (docs/deployment.md)."),
            id="kmes.E002",
        )
    elif not getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        yield CheckWarning(
            _("The web process knows of no proxy with TLS, and speaks no TLS itself: no page opens."),
            hint=_("Set KMES_BEHIND_TLS_PROXY=1 if a proxy before it sets X-Forwarded-Proto."),
            id="kmes.W002",
        )


def _hosts() -> Iterator[CheckMessage]:
    if any(host.startswith("*") for host in settings.ALLOWED_HOSTS):
        yield Error(
            _("KMES_ALLOWED_HOSTS allows every name: a forged one can end in links."),
            hint=_("Name the host names by which users reach the console."),
            id="kmes.E003",
        )
    elif set(settings.ALLOWED_HOSTS) <= LOOPBACK:
        yield CheckWarning(
            _("The console answers to this machine's names only."),
            hint=_("Set KMES_ALLOWED_HOSTS to the name by which users reach it."),
            id="kmes.W003",
        )


def _public_url() -> Iterator[CheckMessage]:
    if not settings.KMES_PUBLIC_URL:
        yield CheckWarning(
            _("KMES_PUBLIC_URL is not set: mails and webhooks have no links."),
            hint=_("Set it to the console's address as users know it."),
            id="kmes.W004",
        )


# --- Secrets ----------------------------------------------------------------------------------
def _mode(path: Path) -> int | None:
    """Return a file's mode; None where this user can't see it."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _secret_files() -> Iterator[CheckMessage]:
    if (mode := _mode(settings.KMES_HSM_PIN_FILE)) is not None and mode & OPEN_TO_OTHERS:
        yield Error(
            _("The PIN file %(path)s may be read by others (mode %(mode)s).")
            % {"path": settings.KMES_HSM_PIN_FILE, "mode": f"{mode:04o}"},
            hint=_("Remove their access (chmod 600), and change the PIN if somebody may have read it."),
            id="kmes.E004",
        )
    if (mode := _mode(settings.KMES_SECRET_KEY_FILE)) is not None and mode & 0o007:
        yield Error(
            _("Django's signing key %(path)s may be read by everybody (mode %(mode)s).")
            % {"path": settings.KMES_SECRET_KEY_FILE, "mode": f"{mode:04o}"},
            hint=_("Remove their access (chmod o-rwx), and replace the key: all sessions end."),
            id="kmes.E005",
        )


def _first_passwords() -> Iterator[CheckMessage]:
    if os.environ.get("KMES_ADMIN_PASSWORD"):
        yield Error(
            _(
                "KMES_ADMIN_PASSWORD is set: both first administrators have one password, which stands in the environment."
            ),
            hint=_("Unset it; it is for development. Let both administrators change their passwords."),
            id="kmes.E006",
        )
    folder = Path(os.environ.get("KMES_FIRST_PASSWORDS_DIR") or settings.KMES_STATE_DIR / "first-passwords")
    try:
        left = sorted(path.name for path in folder.iterdir())
    except OSError:
        left = []
    if left:
        yield CheckWarning(
            _("First passwords still lie in %(folder)s: %(names)s.") % {"folder": folder, "names": ", ".join(left)},
            hint=_("Hand each to its person and remove the file."),
            id="kmes.W005",
        )


# --- Stores -----------------------------------------------------------------------------------
def _database() -> Iterator[CheckMessage]:
    if not database_roles.is_used():
        yield CheckWarning(
            _("The database is SQLite: web, worker and reports can each change every row."),
            hint=_("Use PostgreSQL, with a role for each process (docs/deployment.md)."),
            id="kmes.W006",
        )
        return
    options = connection.settings_dict.get("OPTIONS", {})
    host = str(connection.settings_dict.get("HOST") or "")
    is_near = host in LOOPBACK or host.startswith("/")
    if not is_near and options.get("sslmode") != "verify-full":
        yield Info(
            _("The connection to PostgreSQL at %(host)s does not verify the server's certificate.") % {"host": host},
            hint=_(
                "Add ?sslmode=verify-full&sslrootcert=FILE to DATABASE_URL, unless nobody else reaches that network."
            ),
            id="kmes.I001",
        )
    try:
        yield from _roles()
    except DatabaseError as error:
        yield CheckWarning(
            _("The database could not be asked about its roles: %(error)s") % {"error": " ".join(str(error).split())},
            hint=_("Run the check where the database is reached."),
            id="kmes.W007",
        )


def _roles() -> Iterator[CheckMessage]:
    if settings.KMES_PROCESS in PROCESSES:
        wanted, own = database_roles.role_of(settings.KMES_PROCESS), database_roles.current_role()
        if own != wanted:
            yield Error(
                _("The process %(process)s signs in to PostgreSQL as %(own)s, not as %(wanted)s.")
                % {"process": settings.KMES_PROCESS, "own": own, "wanted": wanted},
                hint=_("Give it its own DATABASE_URL and password file (docs/deployment.md)."),
                id="kmes.E007",
            )
        return
    if faults := database_roles.find_faults():
        shown = "; ".join(faults[:5]) + ("…" if len(faults) > 5 else "")
        yield Error(
            _("The roles at PostgreSQL are not as they should be: %(faults)s.") % {"faults": shown},
            hint=_("Run manage.py database_roles (docs/deployment.md)."),
            id="kmes.E008",
        )


def _redis() -> Iterator[CheckMessage]:
    url = urlsplit(settings.KMES_REDIS_URL)
    if not url.password:
        yield Error(
            _("Redis has no password: anyone who can reach its port can delay every job."),
            hint=_("Give each process an account there, and its password in KMES_REDIS_PASSWORD_FILE."),
            id="kmes.E009",
        )
    elif not url.username and (url.hostname or "") not in LOOPBACK:
        yield CheckWarning(
            _("All processes share one account at Redis."),
            hint=_("Give each an account of its own (kmes/supervision/redis_access.py has the rules)."),
            id="kmes.W008",
        )
    if url.scheme != "rediss" and (url.hostname or "") not in LOOPBACK:
        yield Info(
            _("The connection to Redis at %(host)s is not encrypted.") % {"host": url.hostname},
            hint=_("Use rediss:// and KMES_REDIS_CA_FILE, unless nobody else reaches that network."),
            id="kmes.I002",
        )


# --- Clouds, device and notices ------------------------------------------------------------------
def _clouds() -> Iterator[CheckMessage]:
    if settings.KMES_ALLOW_CUSTOM_ENDPOINTS or settings.KMES_STAND_IN_URL:
        yield Error(
            _("Credentials may name other clouds than Azure: keys can be wrapped for the stand-in, which is no HSM."),
            hint=_("Unset KMES_ALLOW_CUSTOM_ENDPOINTS and KMES_STAND_IN_URL."),
            id="kmes.E010",
        )


def _software_token() -> Iterator[CheckMessage]:
    if not settings.KMES_HSM_MODULE or "softhsm" in settings.KMES_HSM_MODULE.lower():
        yield CheckWarning(
            _("The device is SoftHSM, a program: its keys are in the worker's memory and in files."),
            hint=_("Name the library of an HSM in KMES_HSM_MODULE."),
            id="kmes.W009",
        )


def _channels() -> Iterator[CheckMessage]:
    if settings.KMES_WEBHOOK_ALLOW_HTTP:
        yield Error(
            _("KMES_WEBHOOK_ALLOW_HTTP is on: notices are sent in clear, and to this machine's own services."),
            hint=_("Unset it; it is for development."),
            id="kmes.E011",
        )
    if settings.EMAIL_HOST and not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
        yield CheckWarning(
            _("Mails are sent without TLS."), hint=_("Set KMES_EMAIL_SECURITY to starttls or tls."), id="kmes.W010"
        )


# --- What proves and what saves ---------------------------------------------------------------
def _time_stamps() -> Iterator[CheckMessage]:
    if not settings.KMES_TIMESTAMP_URL:
        yield CheckWarning(
            _("Checkpoints of the log have no time stamps: anyone who holds the device can rewrite the log's history."),
            hint=_("Set KMES_TIMESTAMP_URL and KMES_TIMESTAMP_CA_FILE (docs/log.md)."),
            id="kmes.W011",
        )


def _backup() -> Iterator[CheckMessage]:
    if settings.KMES_PROCESS in {"worker", "beat"}:
        return
    try:
        found = LogEntry.objects.filter(event="backup.made", at__gte=now() - BACKUP_EVERY).exists()
    except DatabaseError:
        # _database says that it can't be asked, or the next migration makes the table.
        return
    if not found:
        yield CheckWarning(
            _("No backup was made within seven days."),
            hint=_("Run manage.py backup regularly, and keep the files elsewhere (docs/disaster.md)."),
            id="kmes.W012",
        )


CHECKS: tuple[Callable[[], Iterator[CheckMessage]], ...] = (
    _debug,
    _plain_http,
    _hosts,
    _public_url,
    _secret_files,
    _first_passwords,
    _database,
    _redis,
    _clouds,
    _software_token,
    _channels,
    _time_stamps,
    _backup,
)
