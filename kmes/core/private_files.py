"""Files that only their owner can read, and files in folders of others, where a link may have been planted. Knows no settings.

Commands run as root, and a process sends what another one wrote. Whoever owns a folder can put a link into it, or a second
name of a file, at any moment: so a file is opened first and judged by what was opened, and is written under a new name.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that only this user can read, unless ``mode`` says otherwise, at no moment half or open to more.

    A link of that name is replaced, not followed.
    """
    _write_aside(path, lambda target: target.write(text.encode()), mode=mode)


def copy_private(source: IO[bytes], path: Path, *, mode: int = 0o600) -> None:
    """Write a file with the content of an open one, as ``write_private`` does."""
    _write_aside(path, lambda target: shutil.copyfileobj(source, target), mode=mode)


def _write_aside(path: Path, write: Callable[[IO[bytes]], object], *, mode: int) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            write(target)
            target.flush()
            os.fsync(target.fileno())
            os.fchmod(target.fileno(), mode)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def open_plain(path: Path | str, *, within: int | None = None) -> IO[bytes]:
    """Open a file for reading that is a file of this one name: no link, device or pipe.

    Args:
        path: the file.
        within: the descriptor of the folder to which a relative path belongs.

    Raises:
        OSError: it is something else, or can't be opened.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        message = f"{path} is no file, or has a second name"
        raise OSError(message)
    return os.fdopen(descriptor, "rb")


def copy_plain_tree(source: Path, target: Path, *, is_wanted: Callable[[str], bool] = lambda _name: True) -> None:
    """Copy the files below a folder, by their names, into a new folder. What is no plain file is refused.

    Raises:
        OSError: a link or something else lies in it, or a file can't be read or written.

    """
    for folder, folders, files, descriptor in os.fwalk(source, follow_symlinks=False):
        into = target / Path(folder).relative_to(source)
        into.mkdir(mode=0o700)
        for name in folders:
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                message = f"{folder}/{name} is a link"
                raise OSError(message)
        for name in filter(is_wanted, files):
            with open_plain(name, within=descriptor) as found:
                copy_private(found, into / name)


def resolve_own(path: Path, *, home: Path) -> Path:
    """Return the path without links. Root follows those alone that itself or the owner of ``home`` made, or that lie where
    nobody else can make one.

    Raises:
        OSError: another user made one of the links.

    """
    trusted = {0, home.stat().st_uid} if home.exists() else {0}
    for each in (path, *path.parents) if os.geteuid() == 0 else ():
        if each.is_symlink():
            folder, owner = each.parent.stat(), each.lstat().st_uid
            is_closed = folder.st_uid in trusted and not folder.st_mode & 0o022
            if owner not in trusted and not is_closed:
                message = f"{each} is a link that user {owner} made, so root does not follow it"
                raise OSError(message)
            return resolve_own(each.parent / each.readlink() / path.relative_to(each), home=home)
    return path.resolve()
