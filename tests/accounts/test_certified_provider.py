"""Company sign-on with a provider that is certified by the OpenID Foundation (``oidc-provider`` of npm)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from django.test import Client

from kmes.accounts.company_sign_on import documents
from kmes.accounts.models import User
from kmes.supervision.setup import find_node
from tests import services
from tests.accounts import sign_on_pages
from tests.accounts.sign_on_pages import LOGOUT, TEST, begin, is_in
from tests.accounts.sign_on_provider import CLIENT, HOST, SECRET
from tests.attacks.certificates import make_authority, make_certificate
from tests.people import body

pytestmark = pytest.mark.django_db
SCRIPT = Path(__file__).with_name("certified_provider.mjs")
CONSOLE = "http://testserver"
CONFIRM = "/profile/second-factor/confirm/company/?next=/users/add/"


class Certified:
    """The running provider, and a browser that knows it."""

    def __init__(self, folder: Path) -> None:
        self.port = services.free_port()
        self.issuer = f"https://{HOST}:{self.port}"
        self.authority, self.certificate = folder / "authority.pem", folder / "server.pem"
        make_certificate(make_authority(self.authority), self.certificate, host=HOST)
        self.browser = requests.Session()
        self.browser.verify, self.browser.trust_env = str(self.authority), False
        self.process: subprocess.Popen[str] | None = None

    @contextmanager
    def running(self, *, conform: bool = False) -> Iterator[None]:
        """Run it; ``conform`` leaves claims about the user to UserInfo."""
        client = {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [f"{CONSOLE}/login/company/answer/"],
            "post_logout_redirect_uris": [f"{CONSOLE}/login/company/signed-out/"],
            "backchannel_logout_uri": f"{CONSOLE}{LOGOUT}",
            "backchannel_logout_session_required": True,
        }
        given = {"issuer": self.issuer, "port": self.port, "certificate": str(self.certificate), "client": client}
        command = [find_node(), str(SCRIPT), json.dumps({**given, "groups": ["kmes-admins"], "conform": conform})]
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as self.process:
            try:
                assert self.line("ready") == ""
                yield
            finally:
                self.process.terminate()
                self.process.wait()

    def line(self, beginning: str) -> str:
        """Wait for a line of the provider's output; return what follows its beginning."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
        raise AssertionError(f"it ended without {beginning}")

    def go(self, url: str, *, name: str = "ada") -> str:
        """Do what a browser and its user do at the provider; return where they come back to at the console."""
        for _ in range(20):
            answer = self.browser.get(url, allow_redirects=False, timeout=60)
            if answer.status_code == 200:
                prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
                sent = {"prompt": prompt, "login": name, "password": "any"}
                answer = self.browser.post(url, data=sent, allow_redirects=False, timeout=60)
            assert answer.status_code in {302, 303}, answer.text
            url = requests.compat.urljoin(url, answer.headers["Location"])
            if url.startswith(CONSOLE):
                return url.removeprefix(CONSOLE)
        raise AssertionError("it goes round in circles")

    def sign_out(self) -> str:
        """Sign out at the provider; return the logout token that it sends."""
        self.confirm_sign_out(f"{self.issuer}/session/end?client_id={CLIENT}")
        return self.line("logout_token ")

    def confirm_sign_out(self, url: str) -> str:
        """Confirm the sign-out that an address asks for; return where the browser is sent then."""
        page = self.browser.get(url, timeout=60)
        token = re.search(r'name="xsrf" value="(\w+)"', page.text)[1]
        sent = {"xsrf": token, "logout": "yes"}
        answer = self.browser.post(f"{self.issuer}/session/end/confirm", data=sent, allow_redirects=False, timeout=60)
        return answer.headers["Location"]


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    return Certified(tmp_path_factory.mktemp("certified"))


@pytest.fixture
def known(certified, settings, monkeypatch, db):
    """The provider, once the console is set up for it."""
    sign_on_pages.be_patient(monkeypatch)
    documents.forget()
    settings.KMES_CA_FILE, settings.KMES_SIGN_ON_PRIVATE_HOSTS = str(certified.authority), [HOST]
    certified.browser.cookies.clear()
    sign_on_pages.save(certified)
    return certified


def test_a_user_signs_in_confirms_and_is_signed_out_by_a_certified_provider(known):
    with known.running():
        client = Client()
        back = known.go(begin(client))
        assert client.get(back).url == "/"
        assert (is_in(client), User.objects.get(username="ada").role) == (True, "admin")
        assert Client().get(back).status_code == 403

        confirmed = known.go(begin(client, CONFIRM))
        assert client.get(confirmed).url == "/users/add/"
        assert client.get("/users/add/").status_code == 200
        known.browser.cookies.clear()
        somebody_else = known.go(begin(client, CONFIRM), name="eve")
        assert client.get(somebody_else).status_code == 403

        assert "Failed" not in body(client.post(TEST))


def test_its_logout_token_ends_the_session_and_a_rolled_key_is_found(known, monkeypatch):
    monkeypatch.setattr(documents, "PAUSE_SECONDS", 0)
    client, other = Client(), Client()
    with known.running():
        assert client.get(known.go(begin(client))).url == "/"
        token = known.sign_out()
        assert Client().post(LOGOUT, {"logout_token": token}).status_code == 200
        assert not is_in(client)
        assert Client().post(LOGOUT, {"logout_token": token}).status_code == 400
    known.browser.cookies.clear()
    with known.running():
        assert other.get(known.go(begin(other))).url == "/"
        assert is_in(other)


def test_name_and_groups_come_from_its_user_info_and_signing_out_here_signs_out_there(known):
    sign_on_pages.save(known, signs_out_there=True)
    with known.running(conform=True):
        client = Client()
        assert client.get(known.go(begin(client))).url == "/"
        assert User.objects.get(username="ada").role == "admin"
        left = client.post("/logout/")
        assert not is_in(client)
        back = known.confirm_sign_out(left["Refresh"].removeprefix("0; url="))
        assert back.startswith(f"{CONSOLE}/login/company/signed-out/?state=")
        assert "sessions of this console and of the identity provider" in body(client.get(back.removeprefix(CONSOLE)))
