"""The TLS front of docker-compose.yml: the configuration of its nginx, the script that starts it, and a certificate of its own.

The container of the front runs nginx alone, from its official image; the files come from here, so that no other image
is built. An installation mounts its own certificate in place of this one (docs/deployment.md#certificate).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kmes.core.private_files import write_private

CERTIFICATE, KEY, CONFIGURATION, START = "tls.crt", "tls.key", "nginx.conf", "start.sh"
# Written by the script, read by the configuration.
RESOLVER = "resolver.conf"
HTTPS_PORT, HTTP_PORT = 8443, 8080
# Browsers refuse more than 398 days.
LIFE = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)

_NGINX = """\
# Written by kmes.supervision.front at each start.
worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log stderr warn;
events {
    worker_connections 2048;
}
http {
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    # As the web process itself (docs/reliability.md#web-server).
    client_max_body_size 512k;
    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 30s;
    keepalive_timeout 30s;
    large_client_header_buffers 4 8k;
    {resolver}
    limit_conn_zone $binary_remote_addr zone=addresses:1m;
    limit_conn_zone $binary_remote_addr zone=held:1m;
    limit_conn addresses 100;

    server {
        listen {http_port};
        return 308 https://$host{public_port}$request_uri;
    }
    server {
        listen {https_port} ssl;
        ssl_certificate {certificate}/tls.crt;
        ssl_certificate_key {certificate}/tls.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
        ssl_prefer_server_ciphers off;
        ssl_session_cache shared:sessions:2m;
        ssl_session_timeout 1h;
        ssl_session_tickets off;
        error_page 497 =308 https://$http_host$request_uri;
        location = /front-health {
            allow 127.0.0.1;
            deny all;
            return 204;
        }
        # A variable: the name is looked up again when the web process has moved.
        set $web {web};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_connect_timeout 5s;
        proxy_read_timeout 70s;
        # Exports are passed on as they come, and need no room here.
        proxy_max_temp_file_size 0;
        # Held until something changes: many open pages behind one address must not use up the connections of its pages.
        location = /changes/ {
            limit_conn held 100;
            proxy_pass http://$web;
        }
        location / {
            proxy_pass http://$web;
        }
    }
}
"""
_START = """\
#!/bin/sh
# Written by kmes.supervision.front at each start.
set -eu
# nginx reads no resolv.conf. The name server that knows the other containers is Docker's or Podman's own.
server=$(sed -n 's/^nameserver[[:space:]][[:space:]]*\\([^[:space:]]*\\).*/\\1/p' "${2:-/etc/resolv.conf}" | head -n 1)
case "$server" in *:*) server="[$server]" ;; esac
printf 'resolver %s valid=5s;\\n' "$server" > {work}/{resolver}
exec nginx -e stderr -c "$1"
"""


def start_script(
    *,
    work: str = "/tmp",  # noqa: S108 - the container's own
) -> str:
    """Return a script of the shell that starts nginx with the configuration named by its first argument.

    It notes the first name server of ``/etc/resolv.conf``, or of the file named by its second argument, for ``configuration``.
    """
    return _START.replace("{work}", work).replace("{resolver}", RESOLVER)


def configuration(
    *,
    web: str,
    certificate: str,
    public_port: str = "",
    has_resolver: bool = False,
    work: str = "/tmp",  # noqa: S108 - the container's own
    ports: tuple[int, int] = (HTTPS_PORT, HTTP_PORT),
) -> str:
    """Return nginx's configuration: ``web`` is the web process's host and port, ``certificate`` the folder of the certificate.

    ``public_port``: the port that browsers know; empty or 443 is left out of addresses. ``has_resolver``: the name of
    ``web`` is looked up at the name server that ``start_script`` noted. ``work``: the folder of nginx's own files.
    """
    values = {
        "{https_port}": str(ports[0]),
        "{http_port}": str(ports[1]),
        "{public_port}": f":{int(public_port)}" if public_port not in {"", "443"} else "",
        "{certificate}": certificate,
        "{web}": web,
        "{work}": work,
        "{resolver}": f"include {work}/{RESOLVER};" if has_resolver else "",
    }
    text = _NGINX
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def make_certificate(folder: Path, hosts: list[str], *, moment: datetime | None = None) -> bool:
    """Make a certificate for these hosts, signed by itself, where there is none or it ends within a month.

    Returns whether one was made. A file that is not ours to replace, one signed by somebody else, is left alone.
    """
    moment = moment or datetime.now(UTC)
    path = folder / CERTIFICATE
    if path.exists() and not _has_to_be_made_anew(path, hosts, moment):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(minutes=5))
        .not_valid_after(moment + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write_private(folder / KEY, key.private_bytes(encoding, form, serialization.NoEncryption()).decode())
    write_private(path, certificate.public_bytes(encoding).decode())
    return True


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.removeprefix("."))


def _has_to_be_made_anew(path: Path, hosts: list[str], moment: datetime) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate.issuer != certificate.subject:
        return False
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_near_its_end = certificate.not_valid_after_utc - moment < RENEWED_BEFORE
    return is_near_its_end or set(named) != {_general_name(host) for host in hosts}
