"""The Unix users of the parts, and whether this start can use them.

Each part has a user of its own, so that the kernel keeps it out of the files, memory and signals of the others. The
users are numbers without an entry in /etc/passwd: nothing is installed, and a read-only system will do
(docs/decisions/0019-parts-have-users.md).
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kmes.supervision.instance import ROOT, Instance, StartError

SWITCH = "KMES_SEPARATE_USERS"
FIRST_NUMBER = "KMES_FIRST_USER_NUMBER"
# Assigned by neither Debian nor systemd (docs/reliability.md#unix-users-and-files).
DEFAULT_FIRST_NUMBER = 61_100
# System and login users of most distributions lie below.
LOWEST_NUMBER = 60_000
HIGHEST_NUMBER = 2**31 - 100
PARTS = ("redis", "emulator", "web", "worker", "beat", "reports")
PRODUCT_PARTS = ("web", "worker", "beat", "reports")
# Beat reads and writes no row.
DATABASE_PARTS = ("web", "worker", "reports")
# Files that a setting names, and the parts that read them.
NAMED_FILES: Mapping[str, tuple[str, ...]] = {
    "KMES_HSM_PIN_FILE": ("worker",),
    "KMES_HSM_MODULE": ("worker",),
    "KMES_SOFTHSM_CONF": ("worker",),
    "KMES_SECRET_KEY_FILE": ("web", "reports"),
    "KMES_DATABASE_PASSWORD_FILE": DATABASE_PARTS,
    "KMES_REDIS_PASSWORD_FILE": PRODUCT_PARTS,
    "KMES_REDIS_CA_FILE": PRODUCT_PARTS,
    "KMES_EMAIL_PASSWORD_FILE": ("reports",),
    "KMES_WEBHOOK_CA_FILE": ("reports",),
    "KMES_TIMESTAMP_CA_FILE": ("reports",),
    "KMES_TIMESTAMP_TLS_CA_FILE": ("reports",),
    "KMES_METRICS_TOKEN_FILE": ("web",),
    "KMES_CA_FILE": ("worker",),
    "KMES_CUSTOM_CA_FILE": ("worker",),
    "KMES_CLIENT_CERTIFICATE_FILE": ("worker",),
    "KMES_CLIENT_KEY_FILE": ("worker",),
    "KMES_FEDERATED_TOKEN_FILE": ("worker",),
    "KMES_PINNED_KEYS_FILE": ("web", "worker"),
    "KMES_REQUEST_SIGNERS_FILE": ("web", "worker"),
}


@dataclass(frozen=True)
class PartUser:
    """The user, the group and the further groups of a part."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class PartUsers:
    """The users of all parts, the group of those that use an embedded database, and the group of the product's own."""

    parts: Mapping[str, PartUser]
    database_gid: int
    product_gid: int

    @property
    def numbers(self) -> range:
        """All numbers of users and groups."""
        first = self.parts[PARTS[0]].uid
        return range(first, self.product_gid + 1)


@dataclass(frozen=True)
class Separation:
    """The users of this start; without them, why there are none."""

    users: PartUsers | None
    reason: str = ""
    # Whether whoever starts it could change that.
    is_warning: bool = False


def numbered_from(first: int) -> PartUsers:
    """Return the users whose numbers begin at ``first``."""
    database_gid = first + len(PARTS)
    product_gid = database_gid + 1
    members = {database_gid: DATABASE_PARTS, product_gid: PRODUCT_PARTS}
    parts = {
        name: PartUser(first + place, first + place, tuple(gid for gid, names in members.items() if name in names))
        for place, name in enumerate(PARTS)
    }
    return PartUsers(parts, database_gid, product_gid)


def choose(instance: Instance) -> Separation:
    """Return the users for this start. The state folder exists already.

    Raises StartError when a number belongs to somebody else, and when a part can't read a file that a setting names.
    """
    given = instance.environment
    if os.geteuid() != 0:
        return Separation(None, "the start was not made as root")
    if given.get(SWITCH, "1").lower() in {"0", "no", "false", "off"}:
        return Separation(None, f"{SWITCH} is off", is_warning=True)
    users = numbered_from(_first_number(given))
    _refuse_numbers_in_use(users)
    if blocked := find_obstacle(users.parts["web"], read=_common_paths(), enter=[instance.state_dir]):
        return Separation(None, blocked, is_warning=True)
    _refuse_unreadable_files(users, given)
    return Separation(users)


def _first_number(given: Mapping[str, str]) -> int:
    text = given.get(FIRST_NUMBER, "") or str(DEFAULT_FIRST_NUMBER)
    if not text.isdecimal() or not LOWEST_NUMBER <= int(text) <= HIGHEST_NUMBER:
        message = f"{FIRST_NUMBER} must be a number from {LOWEST_NUMBER} to {HIGHEST_NUMBER}, not '{text}'."
        raise StartError(message)
    return int(text)


def _refuse_numbers_in_use(users: PartUsers) -> None:
    taken = [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid in users.numbers]
    taken += [entry.gr_name for entry in grp.getgrall() if entry.gr_gid in users.numbers]
    if taken:
        message = f"The user numbers {users.numbers[0]} to {users.numbers[-1]} are in use by "
        message += f"{', '.join(sorted(set(taken)))}: name the first of {len(users.numbers)} free ones in "
        message += f"{FIRST_NUMBER}, or set {SWITCH}=0."
        raise StartError(message)


def _common_paths() -> list[Path]:
    """Return what each part must be able to read: Python, its library, the packages, and this project."""
    packages = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    front_end = [path for path in (ROOT / "node_modules" / "bootstrap" / "dist",) if path.exists()]
    project = [ROOT / "manage.py", ROOT / "kmes" / "settings.py", ROOT / "templates", *front_end]
    return [Path(sys.executable), Path(os.__file__), packages, packages / "django", *project]


def _refuse_unreadable_files(users: PartUsers, given: Mapping[str, str]) -> None:
    for variable, parts in NAMED_FILES.items():
        path = given.get(variable, "")
        if not path or not Path(path).exists():
            # Whoever reads it says that it is missing.
            continue
        for name in parts:
            user = users.parts[name]
            if blocked := find_obstacle(user, read=[Path(path)]):
                one = f"chown {user.uid} {path}"
                several = f"chgrp {users.product_gid} {path} and chmod g+r {path}"
                message = (
                    f"{variable} names {path}, which the user of {name} ({user.uid}) can't read, because {blocked}: "
                )
                message += f"make it readable ({one if len(parts) == 1 else several}), or set {SWITCH}=0."
                raise StartError(message)


def find_obstacle(user: PartUser, *, read: list[Path], enter: Sequence[Path] = ()) -> str:
    """Return what keeps a user from reading these files and folders, or entering those, as a clause; "" if nothing."""
    wanted = [(path, os.R_OK | (os.X_OK if path.is_dir() else 0)) for path in read]
    wanted += [(path, os.X_OK) for path in enter]

    def look() -> str:
        # Following links, as exec and open do.
        return next((str(path) for path, mode in wanted if not os.access(path, mode)), "")

    try:
        found = _as_user(user, look)
    except OSError as error:
        return f"this machine refuses processes of user {user.uid} ({error.strerror or error})"
    return _explain(Path(found)) if found else ""


def _explain(path: Path) -> str:
    real = path.resolve()
    for folder in reversed(real.parents):
        if not folder.stat().st_mode & 0o001:
            mode = f"{folder.stat().st_mode & 0o7777:04o}"
            return f"the folder {folder} (mode {mode}) keeps other users out, and {_kind(path)} lies in it"
    return f"other users may not read {real}"


def _kind(path: Path) -> str:
    if path in {Path(sys.executable), Path(os.__file__)}:
        return f"Python ({path.resolve()})"
    return str(path)


def become(user: PartUser) -> None:
    """Turn this process into one of that user, for good; only for a child."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def _as_user(user: PartUser, action: Callable[[], str]) -> str:
    """Run a function in a child of that user; returns its text.

    Raises OSError when the system refuses such a process.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent may run in the child, not even its exception handlers.
        try:
            become(user)
            answer = {"text": action()}
        except OSError as error:
            answer = {"error": str(error.strerror)}
        except BaseException as error:  # noqa: BLE001 - as above
            answer = {"error": type(error).__name__}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = json.loads(pipe.read() or b'{"error": "it ended"}')
    os.waitpid(child, 0)
    if "error" in answer:
        raise OSError(0, answer["error"])
    return str(answer["text"])
