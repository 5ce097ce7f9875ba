"""The one way to a cloud: every request of every SDK client goes through here, sign-in and Resource Manager too.

Before a request leaves: its address must be one that the credential may be used with, and a mutating one must be in time
(``cloudcreds.provider.send_deadline``). While it waits: total time, and stopping on request
(``cloudcreds.provider.call_watch``). Its answer: limited in size, read whole, and judged (``answers``) before
the SDK sees it. Nothing is repeated here and no redirect is followed.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import requests
from azure.core.pipeline.transport import RequestsTransport
from django.utils.translation import gettext as _
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from cloudcreds.azure import network, service_clock
from cloudcreds.azure.answers import (
    AddressRefused,
    Answer,
    AskedService,
    NotSent,
    ProxyRefused,
    SignInPlace,
    Stopped,
    StoppedUnsent,
    TransportError,
    UnknownAnswer,
    judge,
)
from cloudcreds.azure.connections import CONNECT_SECONDS, PlainPool, Pool, VaultPool
from cloudcreds.azure.network import UnusableSetting
from cloudcreds.azure.vault_documents import host_of
from cloudcreds.provider import call_watch
from cloudcreds.provider.call_watch import GivenUp, Watch
from kmes.core.clock import steady
from kmes.core.known_secrets import remember

READ_SECONDS = 30
# For requests outside of a watched call, such as a token that is renewed.
CALL_SECONDS = 60.0
# A page of a listing is the largest answer; a hundred vaults of Resource Manager are about 200 KB.
MAX_BODY = 4 * 1024 * 1024
PIECE = 64 * 1024


@dataclass(frozen=True)
class Way:
    """Where one transport leads.

    Attributes:
        service: which service its requests are for.
        hosts: the hosts (``host:port``) that may be asked; compared exactly, for each request. For a managed
            identity the one address, without query.
        sign_in: where the credential signs in.
        cloud: one of ``choices.CloudName``.

    """

    service: AskedService
    hosts: frozenset[str]
    sign_in: SignInPlace
    cloud: str

    def allows(self, url: str) -> bool:
        """Return whether an address may be asked."""
        asked = url.partition("?")[0] if self.is_to_this_host else host_of(url)
        return asked in self.hosts

    @property
    def is_to_this_host(self) -> bool:
        """Return whether it leads to the worker's own host: never through a proxy, and mostly without TLS."""
        return self.service is AskedService.MANAGED_IDENTITY


class _Adapter(HTTPAdapter):
    """Sends one request and reads its whole answer."""

    def __init__(self, way: Way) -> None:
        self._way = way
        # Only a vault is changed by what is sent.
        self._pool = VaultPool if way.service is AskedService.VAULT else Pool
        self._proxies: dict[str, dict[str, str]] = {}
        # What each pool was told to trust.
        self._told: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()
        self._context: ssl.SSLContext | None = None
        self._files: tuple[Any, ...] | None = None
        super().__init__(max_retries=Retry(total=False, redirect=False, raise_on_status=False))

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": self._pool}

    def _follow_files(self) -> None:
        """Make new connections when the certificate files have changed; they can be renewed at any time.

        Raises:
            UnusableSetting: one can't be read.

        """
        files = network.state_of_files(self._way.cloud)
        if files == self._files and self._context is not None:
            return
        self._context = network.tls_context(self._way.cloud)
        self.close()
        self.proxy_manager.clear()
        self.init_poolmanager(self._pool_connections, self._pool_maxsize, block=self._pool_block)
        self._files = files

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Tell a pool of connections which authorities it trusts, once: each time ``requests`` would look for their file."""
        if self._told.get(conn) != (verify, cert):
            super().cert_verify(conn, url, verify, cert)
            self._told[conn] = (verify, cert)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(
            *arguments, ssl_context=self._context, proxy_ssl_context=self._context, **options
        )
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": self._pool}
        return manager

    def send(self, request: PreparedRequest, *_arguments: Any, **_options: Any) -> Response:
        """Send a request; the answer has passed ``answers.judge``.

        Raises:
            TransportError: nothing was sent, or no answer came that can be believed.
            CloudError: a mutating request whose deadline has passed (kind ``too_late``).

        """
        url = request.url or ""
        if not self._way.allows(url):
            raise AddressRefused(
                self._way.service,
                _("The address %(host)s is not one of this credential.") % {"host": host_of(url) or "?"},
            )
        if (watch := call_watch.current()) is not None:
            return self._exchange(request, url, watch)
        with call_watch.watched(CALL_SECONDS) as own:
            return self._exchange(request, url, own)

    def _exchange(self, request: PreparedRequest, url: str, watch: Watch) -> Response:
        watch.begin_request(self._way.service)
        if self._way.service is AskedService.SIGN_IN and request.method == "POST":
            _remember_assertion(request.body)
        sent_at = steady()
        try:
            self._follow_files()
            response = super().send(
                request,
                stream=True,
                timeout=(CONNECT_SECONDS, max(0.1, min(READ_SECONDS, watch.seconds_left()))),
                verify=network.authorities_file(self._way.cloud),
                proxies={} if self._way.is_to_this_host else self._proxies_for(url),
            )
            body = _read(response)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._broken(error, url, watch) from None
        # An answer of which a part was taken away when the wait was given up is none.
        if watch.given_up is not None:
            raise self._broken(None, url, watch)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(request.method or "", url, response.status_code, headers, body)
        try:
            judge(self._way.service, answer, self._way.sign_in)
        except UnknownAnswer:
            # What else comes on the connection may belong to this request, and must not answer the next one.
            self.close()
            raise
        if not self._way.is_to_this_host:
            service_clock.read(self._way.service, answer, sent_at=sent_at, came_at=steady())
        gives_token = self._way.is_to_this_host or (
            self._way.service is AskedService.SIGN_IN and request.method == "POST"
        )
        if gives_token and response.status_code == HTTPStatus.OK:
            remember(json.loads(body.decode("utf-8-sig"))["access_token"])
        # What requests would have set, had it read the body itself.
        response._content, response._content_consumed = body, True  # noqa: SLF001
        return response

    def _proxies_for(self, url: str) -> dict[str, str]:
        # Each look reads the whole environment, which stays as it is.
        host = host_of(url)
        if host not in self._proxies:
            self._proxies[host] = network.proxies_for(url)
        return self._proxies[host]

    def _broken(self, error: BaseException | None, url: str, watch: Watch) -> TransportError:
        """Return what is known of a request that got no answer."""
        service = self._way.service
        if watch.given_up is GivenUp.STOPPED:
            what = _("Waiting for the answer was stopped on request.")
            return Stopped(service, what) if watch.is_sent else StoppedUnsent(service, what)
        if watch.given_up is GivenUp.OUT_OF_TIME:
            what = _("No whole answer came in the time a call may take.")
            return UnknownAnswer(service, what) if watch.is_sent else NotSent(service, what)
        if isinstance(error, _TooLarge):
            return UnknownAnswer(service, _("The answer is larger than any of the service."))
        if not watch.is_sent:
            return _not_sent(error, service, url)
        return UnknownAnswer(
            service, _("The connection to %(host)s broke before a whole answer came.") % {"host": host_of(url)}
        )


def _remember_assertion(body: Any) -> None:
    """Mask the assertion that a sign-in sends: while it is valid, it is as good as a secret."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    for assertion in parse_qs(text).get("client_assertion", []):
        remember(assertion)


class _TooLarge(OSError):
    """An answer beyond ``MAX_BODY``."""


def _read(response: Response) -> bytes:
    """Return the whole body; fails when it is cut, can't be decoded, or is too large."""
    pieces, size = [], 0
    try:
        for piece in response.raw.stream(PIECE, decode_content=True):
            size += len(piece)
            if size > MAX_BODY:
                raise _TooLarge
            pieces.append(piece)
    except BaseException:
        # urllib3 closes the connection when it breaks, but not when what came on it can't be decoded.
        response.raw.close()
        raise
    response.raw.release_conn()
    return b"".join(pieces)


def _not_sent(error: BaseException | None, service: AskedService, url: str) -> NotSent:
    if isinstance(error, UnusableSetting):
        return NotSent(service, str(error))
    texts = " ".join(str(cause) for cause in _causes(error))
    host, proxy = host_of(url) or urlsplit(url).netloc, network.proxy_name(url)
    refused = next(
        (status for status in ("407", "403", "502", "503") if f"Tunnel connection failed: {status}" in texts), ""
    )
    if refused or (proxy and "Tunnel connection failed" in texts):
        return ProxyRefused(
            service,
            _("The proxy %(proxy)s refused to connect to %(host)s (HTTP %(status)s).")
            % {"proxy": proxy or "?", "host": host, "status": refused or "?"},
        )
    for sign, words in (
        ("CERTIFICATE_VERIFY_FAILED", _("its certificate is not trusted")),
        ("refused", _("the connection was refused")),
        ("resolve", _("its name is not known")),
        ("resolution", _("its name is not known")),
        ("Name or service", _("its name is not known")),
        ("timed out", _("it did not answer in time")),
    ):
        if sign in texts:
            reason = words
            break
    else:
        reason = _("no connection could be made")
    return NotSent(service, _("%(host)s can't be reached: %(reason)s.") % {"host": host, "reason": reason})


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return the error and what is wrapped in it, however the layers wrapped it."""
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        one = queue.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            queue += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
    return found


class GuardedTransport(RequestsTransport):  # type: ignore[misc]
    """The SDK's transport on guarded connections. Proxies and authorities are chosen per request, not by the SDK."""

    def __init__(self, way: Way) -> None:
        # The SDK makes a session at the first request and sets it up afterwards: another thread could send through a
        # session that is not guarded yet.
        super().__init__(
            session=_guarded_session(way),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            use_env_settings=False,
        )


def _guarded_session(way: Way) -> Session:
    session = Session()
    session.trust_env = False
    adapter = _Adapter(way)
    session.adapters.clear()
    session.mount("https://", adapter)
    # Nothing of ours that leaves this host goes without TLS.
    if way.is_to_this_host:
        session.mount("http://", adapter)
    return session
