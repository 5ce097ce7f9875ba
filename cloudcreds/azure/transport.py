"""The SDK's transport on connections that hold the send deadline (``cloudcreds.provider.send_deadline``).

The connection checks it after the token, the challenge and the handshake, in the last line before the
request is written.
"""

from __future__ import annotations

from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.util import Retry

from cloudcreds.provider import send_deadline
from kmes.core.failpoints import failpoint


class _Connection(HTTPSConnection):
    """Checks the send deadline when the connection stands and the request is about to be written."""

    def request(self, method: str, *arguments: Any, **options: Any) -> None:
        if method in send_deadline.MUTATING_METHODS:
            failpoint(f"azure.sending_{method.lower()}")
        send_deadline.check(method)
        super().request(method, *arguments, **options)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {**self.poolmanager.pool_classes_by_scheme, "https": _Pool}

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}
        return manager


class GuardedTransport(RequestsTransport):  # type: ignore[misc]
    """The SDK's transport, on connections that check the send deadline."""

    def _init_session(self, session: Session) -> None:
        super()._init_session(session)
        session.mount("https://", _Adapter(max_retries=Retry(total=False, redirect=False, raise_on_status=False)))
