"""A time-stamping authority: OpenSSL behind a small HTTP server, which takes only what RFC 3161 lets a client send."""

from __future__ import annotations

import datetime as dt
import http.server
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.http_servers import serving

POLICY = "1.3.6.1.4.1.99999.1"
_CONFIGURATION = """
[authority]
default_policy = {policy}
digests = {digests}
signer_digest = sha256
serial = {folder}/serial
ess_cert_id_alg = sha256
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificate(
    name: str,
    issuer: Holder | None,
    *,
    is_authority: bool = False,
    ended: bool = False,
    usage=None,
    critical: bool = True,
) -> Holder:
    """A root (without an issuer), an intermediate, or the certificate of an authority for time stamps."""
    key, moment = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer.certificate.subject if issuer else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - dt.timedelta(days=30))
        .not_valid_after(moment + dt.timedelta(days=-1 if ended else 30))
        .add_extension(x509.BasicConstraints(ca=not is_authority, path_length=None), critical=True)
    )
    if is_authority:
        usage = usage or [ExtendedKeyUsageOID.TIME_STAMPING]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=critical)
    return Holder(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def write_pem(path: Path, *certificates: x509.Certificate) -> Path:
    path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    return path


@dataclass
class Authority:
    """The server's state: where it listens, what it was asked, and what it does instead of answering as it should."""

    folder: Path
    root: Holder
    intermediate: Holder
    signer: Holder
    port: int = 0
    digests: str = "sha256, sha512"
    policy: str = POLICY
    queries: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/timestamp-reply"
    alter_query: Callable[[bytes], bytes] = bytes
    alter_reply: Callable[[bytes], bytes] = bytes
    seconds_per_byte: float = 0
    is_sending: bool = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/tsa?kind=log"

    @property
    def ca_file(self) -> Path:
        """The root alone: the intermediate one comes with each time stamp."""
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        """Let OpenSSL answer a query."""
        paths = {name: self.folder / name for name in ("query", "reply", "signer.pem", "key.pem", "chain.pem", "conf")}
        paths["query"].write_bytes(query)
        write_pem(paths["signer.pem"], self.signer.certificate)
        write_pem(paths["chain.pem"], self.intermediate.certificate)
        private = self.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        paths["key.pem"].write_bytes(private)
        text = _CONFIGURATION.format(policy=self.policy, digests=self.digests, folder=self.folder)
        paths["conf"].write_text(text)
        openssl(
            "ts", "-reply", "-config", paths["conf"], "-section", "authority", "-queryfile", paths["query"],
            "-signer", paths["signer.pem"], "-inkey", paths["key.pem"], "-chain", paths["chain.pem"],
            "-out", paths["reply"],
        )  # fmt: skip
        return paths["reply"].read_bytes()


def openssl(*arguments: object) -> str:
    """Run OpenSSL; return what it printed."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def new_authority(folder: Path) -> Authority:
    """An authority with a root, an intermediate and a signer of its own."""
    root = make_certificate("Root of the tests", None)
    intermediate = make_certificate("Time stamps of the tests", root)
    signer = make_certificate("Authority of the tests", intermediate, is_authority=True)
    made = Authority(folder, root, intermediate, signer)
    write_pem(made.ca_file, root.certificate)
    return made


@contextmanager
def running_authority(folder: Path) -> Iterator[Authority]:
    """Run the server."""
    state = new_authority(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            state.queries.append(query)
            is_right = self.path == "/tsa?kind=log" and self.headers["Content-Type"] == "application/timestamp-query"
            body = state.alter_reply(state.reply(state.alter_query(query))) if is_right else b""
            self.send_response(state.status if is_right else 400)
            for name, value in {"Content-Type": state.content_type, **state.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._send(body)

        def _send(self, body: bytes) -> None:
            if not state.seconds_per_byte:
                self.wfile.write(body)
                return
            state.is_sending = True
            for each in body:
                time.sleep(state.seconds_per_byte)
                self.wfile.write(bytes([each]))
                self.wfile.flush()
            state.is_sending = False

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with serving(Handler) as state.port:
        yield state
