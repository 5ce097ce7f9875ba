"""Each way to sign in, from the form to a key in the vault: with the real SDK, the device, and the stand-in over TLS."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from cloudcreds.azure.clients import forget_clients
from cloudcreds.models import CloudCredential
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from keygroups.models import CloudVersion
from kmes.core import known_secrets
from tests.cloudcreds.certificates import PASSWORD, make_certificate, pem_file, pem_of, pfx_file
from tests.jobs.builders import CLIENT, TENANT, make_group, make_keys, work
from tests.people import make_people

pytestmark = pytest.mark.django_db(transaction=True)
ISSUER, SUBJECT = "https://issuer.example/cluster", "system:serviceaccount:kmes:worker"


class Console:
    """The pages of an administrator, and the stand-in to which their credentials lead."""

    def __init__(self, client, stand_in, admin):
        self.client, self.stand_in, self.admin = client, stand_in, admin

    def register(self, **values):
        """Change the application in Entra; its secret must not help it."""
        self.stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "secret": "none-of-these", **values})

    def add(self, way, **values):
        typed = {
            "name": "Contoso", "service": "azure", "cloud": "custom", "tenant_id": TENANT, "client_id": CLIENT,
            "sign_in": way, "authority_url": self.stand_in.url, "arm_url": self.stand_in.url, **values,
        }  # fmt: skip
        answer = self.client.post(reverse("cloudcreds:add"), typed)
        assert answer.status_code == 302, answer.content.decode()
        return CloudCredential.objects.get(), answer.url

    def push(self, credential):
        """Push a key, and look into the vault by the stand-in's own count."""
        group = make_group(credential, self.stand_in.vault_url("kv-premium"), name="payments")
        job = work(request_synchronize(keys=make_keys(group, "pay-1", actor=self.admin), actor=self.admin))
        assert job.state == "succeeded", job.error_what
        assert CloudVersion.objects.get(group=group).state == "active"
        assert self.stand_in.control("GET", "/_emulator/health")["vaults"]["kv-premium"] == 1


@pytest.fixture
def console(client, device, azure_stand_in, admin):
    forget_clients()
    client.force_login(make_people("b")["admin"])
    yield Console(client, azure_stand_in, admin)
    forget_clients()


def test_by_a_client_secret(console):
    console.register(secret="the-secret-of-the-flow")
    credential, _next = console.add("secret", secret="the-secret-of-the-flow")
    console.push(credential)


@pytest.mark.parametrize(
    ("content", "password"), [(pem_file(), ""), (pfx_file(), PASSWORD)], ids=["PEM", "PFX with password"]
)
def test_by_an_uploaded_certificate(content, password, console):
    console.register(certificates=[pem_of(make_certificate())])
    file = SimpleUploadedFile("client.pem", content)
    credential, _next = console.add("certificate", certificate_file=file, certificate_password=password)
    console.push(credential)


def test_by_a_certificate_whose_key_is_made_in_the_device_and_by_the_next_one(console):
    credential, address = console.add("device_certificate")
    pems = []
    for _ in range(2):
        assert console.client.post(f"/jobs/start/make_certificate/?credential={credential.pk}", {"days": "90"})
        job = work(Job.objects.filter(kind="make_certificate").latest("created_at"))
        assert job.state == "succeeded", job.error_what
        row = credential.certificates.latest("created_at")
        pems.append(
            console.client.get(reverse("cloudcreds:certificate", args=[credential.pk, row.pk])).content.decode()
        )
        console.register(certificates=list(pems))
        if not row.is_in_use:
            use = reverse("cloudcreds:use_certificate", args=[credential.pk])
            assert console.client.post(use, {"thumbprint": row.thumbprint}).status_code == 302
    assert address.startswith("/jobs/start/make_certificate/")
    # Entra knows the second certificate alone from now on.
    console.register(certificates=pems[1:])
    credential.refresh_from_db()
    console.push(credential)


def test_by_the_token_of_another_issuer(console, settings, tmp_path):
    settings.KMES_FEDERATED_TOKEN_FILE = str(tmp_path / "token")
    console.stand_in.control("POST", "/_emulator/issuers", {"issuer": ISSUER})
    console.register(federated=[{"issuer": ISSUER, "subject": SUBJECT}])
    wanted = {"issuer": ISSUER, "subject": SUBJECT}
    token = console.stand_in.control("POST", "/_emulator/federated-tokens", wanted)["token"]
    (tmp_path / "token").write_text(token)
    credential, _next = console.add("federation")
    console.push(credential)
    assert known_secrets.mask(token) == known_secrets.MASK


def test_by_the_managed_identity_of_the_host(console, monkeypatch):
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    console.register(managed_identity="system")
    credential, _next = console.add("managed_identity", client_id="")
    console.push(credential)
