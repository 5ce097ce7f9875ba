"""What somebody tries who has taken over a process: run as its user, in its groups, with its environment.

Prints as JSON what each try came to: "refused" or what was reached. Its own process must not matter: nothing here asks
the product whether it may.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
LIBC = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A try that ended in nothing without an error of the system."""


def read(path: Path) -> str:
    return repr(path.read_bytes()[:20])


def read_all(folder: Path) -> str:
    """List a folder, and read a file below it."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    if not names and not os.access(folder, os.R_OK):
        raise PermissionError(folder)
    return read(names[0])


def write(path: Path) -> str:
    with path.open("ab") as target:
        return f"opened {target.name}"


def plant(folder: Path) -> str:
    planted = folder / "planted"
    planted.touch()
    planted.unlink()
    return f"wrote {planted}"


def move_away(path: Path) -> str:
    aside = path.with_name(path.name + ".away")
    path.rename(aside)
    aside.rename(path)
    return f"moved {path}"


def attach(pid: int) -> str:
    if LIBC.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        raise PermissionError(os.strerror(ctypes.get_errno()))
    os.waitpid(pid, 0)
    LIBC.ptrace(PTRACE_DETACH, pid, None, None)
    return "attached"


def read_memory(pid: int) -> str:
    place = int(Path(f"/proc/{pid}/maps").read_text().split("-")[0], 16)
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        memory.seek(place)
        return repr(memory.read(8))


def send(pid: int) -> str:
    os.kill(pid, signal.SIGCONT)
    return "sent a signal"


def become(uid: int) -> str:
    os.setresuid(uid, uid, uid)
    return f"became {uid}"


def open_device(state: Path) -> str:
    """Use the token as the worker does: say that this is the worker, and name its files."""
    os.environ["KMES_PROCESS"] = "worker"
    os.environ["KMES_HSM_PIN_FILE"] = str(state / "hsm" / "pin")
    os.environ["SOFTHSM2_CONF"] = str(state / "hsm" / "softhsm2.conf")
    import django

    django.setup()
    from hsm.device import get_device
    from kmes.core.errors import DeviceError

    try:
        return str(get_device().major_keys())
    except DeviceError as error:
        raise Refused(str(error)) from None


def open_token(state: Path) -> str:
    """Use the library itself, which needs none of our code."""
    os.environ["SOFTHSM2_CONF"] = str(state / "hsm" / "softhsm2.conf")
    import pkcs11

    from hsm.session import find_module

    try:
        return str(pkcs11.lib(find_module("")).get_token(token_label="KMES"))
    except pkcs11.PKCS11Error as error:
        raise Refused(type(error).__name__) from None


def ask_redis(port: int, name: str, state: Path) -> str:
    """Ask Redis by another account, with the password found in its file or else with one's own."""
    import redis

    file = "password" if name == "default" else f"{name}.password"
    try:
        word = (state / "redis" / file).read_text()
    except PermissionError:
        word = Path(os.environ["KMES_REDIS_PASSWORD_FILE"]).read_text()
    user = None if name == "default" else name
    with redis.Redis(port=port, username=user, password=word.strip()) as client:
        try:
            return f"{name} answered {client.ping()}"
        except redis.AuthenticationError as error:
            raise Refused(str(error)) from None


def tries(me: str, state: Path, pids: dict[str, int], redis_port: int) -> dict[str, Callable[[], str]]:
    """Return all there is to try for one process."""
    found: dict[str, Callable[[], str]] = {
        "PIN": lambda: read(state / "hsm" / "pin"),
        "token": lambda: read_all(state / "hsm" / "tokens"),
        "SoftHSM's configuration": lambda: read(state / "hsm" / "softhsm2.conf"),
        "token by the library": lambda: open_token(state),
        "device by our code": lambda: open_device(state),
        "signing key": lambda: read(state / "secret_key"),
        "database": lambda: read(state / "db.sqlite3"),
        "administrator's Redis password": lambda: read(state / "redis" / "password"),
        "Redis' configuration": lambda: read(state / "redis" / "redis.conf"),
        "Redis' data": lambda: read_all(state / "redis" / "data"),
        "Redis without an account": lambda: ask_redis(redis_port, "default", state),
        "stand-in's keys": lambda: read(state / "azure_emulator" / "server-key.pem"),
        "stand-in's vaults": lambda: read_all(state / "azure_emulator" / "vaults" / "kv-premium"),
        "beat's schedule": lambda: read_all(state / "beat"),
        "log of the web process": lambda: read(state / "log" / "web.log"),
        "pid files": lambda: read_all(state / "run"),
        "pinned keys": lambda: write(state / "pinned" / "keys.json"),
        "root": lambda: become(0),
        "root's groups": lambda: os.setgroups([0]) or "took a group",
        "state folder moved": lambda: move_away(state / "hsm"),
        "link to the database moved": lambda: move_away(state / "db.sqlite3"),
        "code": lambda: write(Path(__file__)),
        "Python": lambda: write(Path(sys.executable)),
    }
    for folder in ("", "hsm", "hsm/tokens", "pinned", "redis", "redis/data", "azure_emulator", "beat", "log", "run"):
        found[f"new file in {folder or 'the state folder'}"] = lambda folder=folder: plant(state / folder)
    for folder in ("exports", "database"):
        found[f"new file in {folder}"] = lambda folder=folder: plant(state / folder)
    for name, pid in pids.items():
        if name != me:
            found[f"environment of {name}"] = lambda pid=pid: read(Path(f"/proc/{pid}/environ"))
            found[f"memory of {name}"] = lambda pid=pid: read_memory(pid)
            found[f"files of {name}"] = lambda pid=pid: str(Path(f"/proc/{pid}/fd/1").readlink())
            found[f"{name} traced"] = lambda pid=pid: attach(pid)
            found[f"{name} killed"] = lambda pid=pid: send(pid)
    for name in ("web", "worker"):
        if name != me:
            found[f"request key of {name}"] = lambda name=name: read(state / "request_keys" / name / "key.pem")
        found[f"request key of {name} exchanged"] = lambda name=name: plant(state / "request_keys" / name)
    if me != "web":
        found["key of second factors"] = lambda: read(state / "second_factor" / "key")
    found["request keys that are accepted"] = lambda: write(state / "request_keys" / "public.json")
    for name in ("web", "worker", "beat", "reports"):
        if name != me:
            found[f"Redis as {name}"] = lambda name=name: ask_redis(redis_port, name, state)
    return found


def attempt(action: Callable[[], str]) -> str:
    """Return what a try came to, in a process of its own: some change who this is."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            answer = f"REACHED: {action()}"
        except (FileNotFoundError, ProcessLookupError) as error:
            # A try at nothing shows nothing.
            answer = f"failed: {error!r}"
        except (OSError, Refused):
            answer = "refused"
        except BaseException as error:  # noqa: BLE001 - the parent judges it
            answer = f"failed: {error!r}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.wait()
    return answer


def main(me: str, state: str, pids: str, redis_port: str) -> None:
    """Try everything."""
    everything = tries(me, Path(state), json.loads(pids), int(redis_port))
    print(json.dumps({name: attempt(action) for name, action in everything.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
