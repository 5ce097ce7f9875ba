"""What lies in the state folder, and to whom it belongs.

The layout is the same for every start. Owners are set only where the parts have users of their own; without them all
belongs to whoever starts the console, and the state folder is closed to everybody else.

Root must not follow what a part put into a folder of its own: files are opened without following links, and a file
with a second name is left alone.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kmes.supervision.instance import Instance, StartError
from kmes.supervision.part_users import PRODUCT_PARTS, PartUsers

# Former place, place now. A link stays behind in the state folder, because settings and people know the former one.
MOVED_TO_FOLDERS = (
    ("db.sqlite3", "database/db.sqlite3"),
    ("pinned_keys.json", "pinned/keys.json"),
)
# A journal that stays behind would be missing when SQLite wants to roll back.
DATABASE_COMPANIONS = ("-journal", "-wal", "-shm")
REDIS_DATA = "appendonlydir"


@dataclass(frozen=True)
class Place:
    """A file or folder of the state, with owner, group and mode.

    Owner and group are names of parts, "root", or "database" for the group. ``inner_mode`` is that of files inside,
    ``None`` where the part decides. ``inside`` says when the files inside are looked at: "once" means when the folder
    itself has another owner, because there may be many.
    """

    path: str
    owner: str
    group: str
    mode: int
    inner_mode: int | None = None
    inside: Literal["always", "once", "never"] = "always"


PLACES = (
    # Members of the group make the journal beside the database, and any of them removes one that was left.
    Place("database", "root", "database", 0o2770, 0o660),
    # A PIN file that others could read is refused, not mended: they may have read it.
    Place("hsm", "worker", "worker", 0o700),
    Place("pinned", "worker", "worker", 0o755, 0o644),
    Place("redis/data", "redis", "redis", 0o700, 0o600, inside="once"),
    Place("redis/redis.conf", "root", "redis", 0o640),
    Place("redis/password", "root", "root", 0o600),
    *(Place(f"redis/{name}.password", "root", name, 0o640) for name in PRODUCT_PARTS),
    # The certificate of its authority is for everybody; its other files are closed by itself.
    Place("azure_emulator", "emulator", "emulator", 0o711, inside="once"),
    Place("beat", "beat", "beat", 0o700, 0o600),
    # Written by the report worker, sent by the web process.
    Place("exports", "reports", "web", 0o2750, 0o640),
    # Web signs sessions with it, and the keys of webhooks are derived from it (logging_reports.notices.signatures).
    Place("secret_key", "web", "reports", 0o640),
    # A signer reads its own key, and can put no other one in its place.
    *(
        place
        for name in ("web", "worker")
        for place in (
            Place(f"request_keys/{name}", "root", name, 0o750, inside="never"),
            Place(f"request_keys/{name}/key.pem", name, name, 0o600),
        )
    ),
    # Web makes the key in it, and nobody else reads it.
    Place("second_factor", "web", "web", 0o700, 0o600),
    Place("request_keys/public.json", "root", "root", 0o644),
    Place("log/prepare.log", "worker", "worker", 0o600),
)
# Folders of root, which the parts pass through or do not enter at all.
ROOT_FOLDERS = {"": 0o711, "run": 0o700, "log": 0o711, "redis": 0o711, "request_keys": 0o711, "static": 0o755}


def arrange(instance: Instance) -> None:
    """Move what an earlier release kept elsewhere, and make the links; for every start.

    Raises StartError when a file exists at both places.
    """
    for former, place in MOVED_TO_FOLDERS:
        _move(instance.path(former), instance.path(place))
    data = instance.path("redis", REDIS_DATA)
    if data.is_dir() and not data.is_symlink():
        data.rename(instance.path("redis", "data", REDIS_DATA))


def _move(former: Path, place: Path) -> None:
    if former.is_symlink():
        return
    if former.exists():
        if place.exists() and place.stat().st_size:
            message = f"There are two of one file, {former} and {place}: move the one that is not wanted away."
            raise StartError(message)
        for ending in DATABASE_COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{former}{ending}").rename(f"{place}{ending}")
        former.rename(place)
    former.symlink_to(place.relative_to(former.parent))


def hand_over(instance: Instance, users: PartUsers) -> None:
    """Give each part its files; for a start as root, each time, because commands run as root leave files too."""
    for name, mode in ROOT_FOLDERS.items():
        _set(instance.path(name), 0, 0, mode)
    for path in instance.path("log").glob("*.log*"):
        _set(path, 0, 0, 0o600)
    _make_empty(instance.path("log", "prepare.log"))
    if "DATABASE_URL" not in instance.environment:
        # SQLite makes its other files with the mode of this one, so it must exist before anybody opens it.
        _make_empty(instance.path("database", "db.sqlite3"))
    for place in PLACES:
        _give(instance.path(place.path), place, users)


def keep_to_owner(instance: Instance) -> None:
    """Close the state folder to other users; for a start without users of the parts."""
    instance.state_dir.chmod(0o700)
    if os.geteuid() == 0:
        for place in PLACES:
            if place.inside == "once":
                # Files of root come to lie inside; a later start with users finds them by the folder's owner.
                _set(instance.path(place.path), 0, 0, None)


def _make_empty(path: Path) -> None:
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _give(path: Path, place: Place, users: PartUsers) -> None:
    uid = 0 if place.owner == "root" else users.parts[place.owner].uid
    gid = users.database_gid if place.group == "database" else 0
    if place.group in users.parts:
        gid = users.parts[place.group].gid
    with suppress(FileNotFoundError):
        status = path.lstat()
        is_changed = (status.st_uid, status.st_gid) != (uid, gid)
        if stat.S_ISDIR(status.st_mode) and (place.inside == "always" or (place.inside == "once" and is_changed)):
            inner_uid = users.parts["worker"].uid if place.owner == "root" else uid
            folder_mode = None if place.inner_mode is None else place.mode
            for _folder, folders, files, descriptor in os.fwalk(path, topdown=False, follow_symlinks=False):
                for name in files:
                    _set(name, inner_uid, gid, place.inner_mode, within=descriptor)
                for name in folders:
                    _set(name, inner_uid, gid, folder_mode, within=descriptor)
        # The folder itself comes last: until then the next start begins anew.
        _set(path, uid, gid, place.mode)


def _set(path: Path | str, uid: int, gid: int, mode: int | None, *, within: int | None = None) -> None:
    """Set owner, group and mode where they differ; leaves links and files with a second name alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)
    except OSError:
        # A link, a socket, or gone meanwhile.
        return
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode) and (not stat.S_ISREG(status.st_mode) or status.st_nlink > 1):
            return
        if (status.st_uid, status.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        wanted = stat.S_IMODE(status.st_mode) if mode is None else mode
        # A change of owner clears some bits.
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != wanted:
            os.fchmod(descriptor, wanted)
    finally:
        os.close(descriptor)
