"""Runs rsyslog and syslog-ng for tests and trials, each with a configuration, certificate and port of its own.

The set-up unpacks them below ``.venv`` (``kmes/supervision/setup.py``). Imports neither Django nor anything of ours.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import services

PROGRAMS = services.ROOT / ".venv" / "log-servers"
KINDS = ("rsyslog", "syslog-ng")
_RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="kmes" {queue}) {{
  action(type="omfile" file="{output}" template="raw" action.resumeRetryCount="-1" action.resumeInterval="1")
}}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="kmes")
"""
_SYSLOG_NG = """
@version: 3.38
options {{ log-msg-size(65536); stats-freq(0); time-reopen(1); flush-lines(1); }};
source kmes {{ syslog(ip("127.0.0.1") port({port}) transport("tls") flags(no-parse) max-connections(20)
  tls(key-file("{key}") cert-file("{certificate}") peer-verify(optional-untrusted))); }};
destination rows {{ file("{output}" template("$MSG\\n")); }};
log {{ source(kmes); destination(rows); flags(flow-control); }};
"""
_ROW = re.compile(rb'service="(\w+)" sequence="(\d+)" previous="(\d+)"( repeat="1")?')


@dataclass(frozen=True)
class Authority:
    """A CA of the tests."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Return its certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def make_authority(name: str = "CA of the tests") -> Authority:
    """Make a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_sign(name, key, None, (), is_ended=False), key)


def write_certificate(folder: Path, authority: Authority, *names: str, is_ended: bool = False) -> tuple[Path, Path]:
    """Write a server's certificate and key, for host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(names[0], key, authority, names, is_ended=is_ended)
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file


def _sign(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: Authority | None, names: Iterable[str], *, is_ended: bool
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    moment = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - dt.timedelta(days=30))
        .not_valid_after(moment + dt.timedelta(days=-1 if is_ended else 30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        alternatives: list[x509.GeneralName] = [_general_name(each) for each in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Received:
    """What a server's file holds of a log: sequences in the order of their lines, and which lines are repeats."""

    sequences: list[int] = field(default_factory=list)
    repeats: list[bool] = field(default_factory=list)

    def assert_complete(self, last: int) -> None:
        """Each row is there, in order without its repeats, and each row that is there twice is marked but for its first time."""
        first = [number for number, is_repeat in zip(self.sequences, self.repeats, strict=True) if not is_repeat]
        assert len(first) == len(set(first)), "a row came twice without a mark"
        assert first == sorted(first), "rows came in another order"
        missing = set(range(1, last + 1)) - set(self.sequences)
        assert not missing, f"{len(missing)} rows are missing, {min(missing)} the first"


@dataclass
class LogServer:
    """A log server that can be killed and started again on its files."""

    kind: str
    folder: Path
    authority: Authority
    port: int = 0
    output: Path = Path()
    # rsyslog's own default is a queue in memory.
    queue: str = 'queue.type="Direct"'
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Choose a port and write the certificate."""
        self.port = self.port or services.free_port()
        self.output = self.folder / "rows.log" if self.output == Path() else self.output
        write_certificate(self.folder, self.authority, "localhost", "127.0.0.1")
        (self.folder / "ca.pem").write_text(self.authority.pem)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        template = _RSYSLOG if self.kind == "rsyslog" else _SYSLOG_NG
        files = {name: self.folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
        text = template.format(folder=self.folder, output=self.output, port=self.port, queue=self.queue, **files)
        (self.folder / "server.conf").write_text(text)
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(self._command(), stdout=output, stderr=output, env=_environment())
        services.wait_until(lambda: services.listens(self.port), self.process, log)

    def _command(self) -> list[str]:
        configuration = str(self.folder / "server.conf")
        if self.kind == "rsyslog":
            (modules,) = PROGRAMS.glob("usr/lib/*/rsyslog")
            return [str(PROGRAMS / "usr/sbin/rsyslogd"), "-n", "-iNONE", "-f", configuration, "-M", str(modules)]
        (module,) = PROGRAMS.glob("usr/lib/syslog-ng/*/")
        state = [
            f"--{name}={self.folder / file}"
            for name, file in (("persist-file", "persist"), ("pidfile", "pid"), ("control", "control"))
        ]
        program = str(PROGRAMS / "usr/sbin/syslog-ng")
        return [program, "-F", "--no-caps", "-f", configuration, "--module-path", str(module), *state]

    def kill(self) -> None:
        """End it at once, without a chance to write anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
            services.stop(self.process)

    def received(self, service: str = "audit") -> Received:
        """Return what its file holds now. A line that a kill cut counts only as far as it is whole."""
        found = Received()
        if not self.output.exists():
            return found
        with self.output.open("rb") as lines:
            # The first row after a kill may stand on a line with what was cut.
            for line in lines:
                for name, sequence, _previous, repeat in _ROW.findall(line):
                    if name.decode() == service:
                        found.sequences.append(int(sequence))
                        found.repeats.append(bool(repeat))
        return found

    def lines(self) -> list[str]:
        """Return its file's lines."""
        return self.output.read_text().split("\n")[:-1] if self.output.exists() else []

    def wait_for_lines(self, count: int, seconds: float = 20) -> list[str]:
        """Return its file's lines once there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := self.lines()) < count:
            assert time.monotonic() < deadline, f"{len(found)} lines of {count}"
            time.sleep(0.05)
        return found


def _environment() -> dict[str, str]:
    folders = {str(path.parent) for path in PROGRAMS.rglob("*.so*") if "rsyslog" not in path.parent.name}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(folders))}
