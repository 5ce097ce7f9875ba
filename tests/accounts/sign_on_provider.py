"""A strict identity provider of our own for tests, which can also be told to lie. It shares no line with the console.

Its authorization endpoint is a method, in place of a browser; the rest is asked over HTTPS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.attacks.certificates import make_authority, make_certificate
from tests.http_servers import serving

HOST, CLIENT, SECRET = "127.0.0.1", "kmes console", "s3cret: with/odd+chars %"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Key:
    """A signing key of the provider."""

    def __init__(self, key_id: str) -> None:
        self.key_id, self.private = key_id, rsa.generate_private_key(65537, 2048)

    @property
    def published(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig", "alg": "RS256"}


class Provider:
    """The provider: what it publishes, whom it signs in, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.issuer = f"https://{HOST}:{port}"
        self.reset()

    def reset(self) -> None:
        self.key = getattr(self, "key", None) or Key("first")
        self.keys = [self.key.published]
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "scopes_supported": ["openid", "profile", "email"],
        }
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, Any]] = {}
        # Makes the token from its claims; a test that lies puts another function here.
        self.make_token: Callable[[dict[str, Any]], str] = self.sign
        self.status = 200
        self.takes_codes_once = True
        self.access_token: Any = "access-token-of-the-provider"
        self.user_info: Any = {}

    # --- As a browser sees it -----------------------------------------------------------------
    def authorize(self, url: str, **claims: Any) -> str:
        """Sign somebody in; return where the browser is sent, without scheme and host."""
        given = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        assert url.startswith(f"{self.issuer}/authorize?"), url
        assert (given["response_type"], given["client_id"]) == ("code", CLIENT)
        assert given["code_challenge_method"] == "S256"
        assert "openid" in given["scope"].split()
        assert min(map(len, (given["state"], given["nonce"], given["code_challenge"]))) == 43
        code = secrets.token_urlsafe(16)
        about = {"sub": "subject-of-ada", "preferred_username": "ada", "groups": ["kmes-operators"], **claims}
        if "max_age" in given:
            about.setdefault("auth_time", int(time.time()))
        self.codes[code] = {"given": given, "claims": about}
        back = {"code": code, "state": given["state"], "iss": self.issuer}
        return f"{urlsplit(given['redirect_uri']).path}?{urlencode(back)}"

    # --- Tokens -------------------------------------------------------------------------------
    def claims(self, nonce: str = "", **claims: Any) -> dict[str, Any]:
        """Return the claims of an ID token; None removes one."""
        moment = int(time.time())
        about = {"iss": self.issuer, "aud": CLIENT, "iat": moment, "exp": moment + 300, "nonce": nonce, **claims}
        return {name: value for name, value in about.items() if value is not None}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        about = {"kid": self.key.key_id, **header}
        return jwt.encode(claims, self.key.private, algorithm="RS256", headers=about)

    def logout_token(self, **claims: Any) -> str:
        about = {"nonce": None, "jti": secrets.token_hex(8), "events": {EVENT: {}}, **claims}
        return self.sign(self.claims(**about), typ="logout+jwt")

    def answer(self, path: str, form: dict[str, str], headers: Any) -> tuple[int, Any]:
        """Answer a request over HTTPS."""
        self.asked.append(path)
        if self.status != 200:
            return self.status, {}
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.metadata
            case "/keys":
                return 200, {"keys": self.keys}
            case "/token":
                return self._redeem(form, headers)
            case "/me" if headers.get("Authorization") == f"Bearer {self.access_token}":
                return 200, self.user_info
        return 404, {}

    def _redeem(self, form: dict[str, str], headers: Any) -> tuple[int, Any]:
        client, _, secret = base64.b64decode(headers.get("Authorization", "Basic Og==")[6:]).decode().partition(":")
        pair = (unquote_plus(client), unquote_plus(secret))
        if "client_secret" in form:
            pair = (form["client_id"], form["client_secret"])
        if pair != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        begun = self.codes.get(form["code"])
        if self.takes_codes_once:
            self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or begun["given"]["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant", "error_description": "no such code"}
        if begun["given"]["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "another redirect_uri"}
        token = self.make_token(self.claims(**{"nonce": begun["given"]["nonce"], **begun["claims"]}))
        return 200, {"id_token": token, "access_token": self.access_token, "token_type": "Bearer"}


@contextmanager
def running_provider(folder: Path) -> Iterator[tuple[Provider, Path]]:
    """Run a provider; return it and the file of its authority."""
    authority_file, certificate = folder / "authority.pem", folder / "server.pem"
    make_certificate(make_authority(authority_file), certificate, host=HOST)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

        def _reply(self, form: dict[str, str]) -> None:
            status, found = provider.answer(self.path, form, self.headers)
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._reply({name: values[0] for name, values in parse_qs(text).items()})

    with serving(Handler, certificate=certificate) as port:
        provider = Provider(port)
        yield provider, authority_file
