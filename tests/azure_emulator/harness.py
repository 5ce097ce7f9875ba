"""A real stand-in process on free ports, and the clients to talk to it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests
from azure.core.pipeline.policies import RetryPolicy
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient
from azure.mgmt.keyvault import KeyVaultManagementClient

from tests.services import ROOT, free_port

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "emulator-secret"
SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
API = "2025-07-01"
OFFSETS = {"kv-premium": 0, "kv-protected": 1, "kv-standard": 2, "kv-hard": 3, "kv-week": 4}
EXTRA_VAULTS = ("--vault", "name=kv-hard,retention=0", "--vault", "name=kv-week,retention=7,purge_protection=1")


class Emulator:
    """One running process."""

    def __init__(self, state: Path, *arguments: str, port: int | None = None) -> None:
        self.state = state
        self.arguments = arguments
        self.ca = str(state / "ca.pem")
        self.port = port or free_port(len(OFFSETS))
        self.web = requests.Session()
        self.web.verify = self.ca
        self.web.trust_env = False
        self._credentials: dict[tuple[str, str, str], ClientSecretCredential] = {}
        self._open: list[Any] = [self.web]
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "azure_emulator", "--port", str(self.port), "--state-dir", str(self.state)]
        self.process = subprocess.Popen(
            [*command, *self.arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(20, self.process.kill)
        watchdog.start()
        assert self.process.stdout
        assert self.process.stderr
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert "ready" in line, self.process.stderr.read()

    def stop(self) -> int:
        for client in self._open:
            client.close()
        self.process.terminate()
        self.process.communicate(timeout=10)
        return self.process.returncode

    def restarted(self) -> Emulator:
        assert self.stop() == 0
        return Emulator(self.state, *self.arguments, port=self.port)

    def url(self, vault: str = "kv-premium", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port + OFFSETS[vault]}"

    def credential(self, client: str = CLIENT, secret: str = SECRET, tenant: str = TENANT) -> ClientSecretCredential:
        known = self._credentials.get((client, secret, tenant))
        if known is None:
            known = ClientSecretCredential(
                tenant,
                client,
                secret,
                authority=self.url(),
                disable_instance_discovery=True,
                connection_verify=self.ca,
                retry_total=0,
            )
            self._credentials[client, secret, tenant] = known
            self._open.append(known)
        return known

    def keys(self, vault: str = "kv-premium", credential: Any = None, **options: Any) -> KeyClient:
        made = KeyClient(
            self.url(vault),
            credential or self.credential(),
            connection_verify=self.ca,
            verify_challenge_resource=False,
            **{"retry_total": 0, **options},
        )
        self._open.append(made)
        return made

    def patient_keys(self, vault: str = "kv-premium") -> KeyClient:
        """A client with the SDK's retries, only quicker."""
        return self.keys(vault, retry_policy=RetryPolicy(retry_backoff_factor=0.01))

    def crypto(self, key: KeyVaultKey | str) -> CryptographyClient:
        made = CryptographyClient(
            key, self.credential(), connection_verify=self.ca, verify_challenge_resource=False, retry_total=0
        )
        self._open.append(made)
        return made

    def arm(self, credential: Any = None) -> KeyVaultManagementClient:
        made = KeyVaultManagementClient(
            credential or self.credential(),
            SUBSCRIPTION,
            base_url=self.url(),
            connection_verify=self.ca,
            retry_total=0,
        )
        self._open.append(made)
        return made

    def token(self, scope: str = "https://vault.azure.net/.default", **form: str) -> str:
        answer = self.ask_token(scope=scope, **form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def ask_token(self, tenant: str = TENANT, **form: str) -> requests.Response:
        body = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET, **form}
        return self.web.post(f"{self.url()}/{tenant}/oauth2/v2.0/token", data=body)

    def raw(self, method: str, path: str, *, vault: str = "kv-premium", **options: Any) -> requests.Response:
        """A request with a token, with the api-version unless the path brings a query of its own."""
        if "?" not in path:
            path += f"?api-version={API}"
        headers = {"Authorization": f"Bearer {self.token()}", **options.pop("headers", {})}
        return self.web.request(method, self.url(vault) + path, headers=headers, **options)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.web.request(method, f"{self.url()}/_emulator/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def fault(self, **fault: Any) -> str:
        return str(self.control("POST", "faults", fault)["id"])

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What was asked, without the bodiless probes that end in 401."""
        return [
            entry
            for entry in self.control("GET", "requests")
            if entry["status"] != 401
            and method in entry["method"]
            and path in entry["path"]
            and entry["part"] == "vault"
        ]
