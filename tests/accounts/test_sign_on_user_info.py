"""Groups and name that the ID token lacks are read from UserInfo, for the same subject, and never more than that."""

from __future__ import annotations

import base64
import hashlib

import pytest

from kmes.accounts.company_sign_on import transport
from kmes.accounts.models import User
from logging_reports.models import LogEntry
from tests.accounts.sign_on_pages import TRIAL, is_in, provider, running, save, sign_in
from tests.people import body, pages, people, static_root

__all__ = ["pages", "people", "provider", "running", "static_root"]
pytestmark = pytest.mark.django_db
ELSEWHERE = {"groups": None, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}


@pytest.fixture
def informed(provider):
    provider.metadata["userinfo_endpoint"] = f"{provider.issuer}/me"
    provider.user_info = {"sub": "subject-of-ada", "groups": ["kmes-operators"], "preferred_username": "ada"}
    return provider


def refusal() -> str:
    return LogEntry.objects.filter(event="access.login_failed").latest("sequence").message


@pytest.mark.parametrize("lacks", [{"groups": None}, ELSEWHERE, {"preferred_username": None}])
def test_what_the_token_lacks_is_asked_of_user_info(informed, lacks):
    assert is_in(sign_in(informed, **lacks)[0])
    assert User.objects.get(username="ada").role == "operator"
    assert informed.asked.count("/me") == 1


def test_a_token_that_says_all_asks_nothing_more(informed):
    assert is_in(sign_in(informed)[0])
    assert "/me" not in informed.asked


def test_the_token_counts_before_user_info_which_says_nothing_of_the_sign_in(informed):
    save(informed, factor_values=["mfa"])
    informed.user_info |= {"preferred_username": "boss", "amr": ["mfa"], "acr": "mfa", "sid": "x"}
    sign_in(informed, groups=None)
    assert not User.objects.filter(username="boss").exists()
    row = LogEntry.objects.get(event="access.login")
    assert "second_factor" not in row.data


@pytest.mark.parametrize(
    "changes",
    [{"sub": "somebody-else"}, {"sub": None}, {"sub": ["subject-of-ada"]}, {"preferred_username": "\ud800"}],
)
def test_user_info_of_another_subject_signs_nobody_in(informed, changes):
    informed.user_info |= changes
    client, answer = sign_in(informed, groups=None)
    assert (answer.status_code, is_in(client)) == (403, False)
    assert not User.objects.filter(username="ada").exists()


def test_user_info_that_is_too_large_or_away_signs_nobody_in(informed, monkeypatch):
    # Not the role of users in no group either: nobody knows whether they are in none.
    save(informed, unmatched_role="auditor")
    monkeypatch.setattr(transport, "HIGHEST_BYTES", 4000)
    informed.user_info["groups"] = ["x" * 5000]
    assert sign_in(informed, groups=None)[1].status_code == 503
    informed.user_info = None
    assert sign_in(informed, groups=None)[1].status_code == 503


@pytest.mark.parametrize("token", ["a\r\nHost: evil", "", None, "x" * 20_000, "ä"])
def test_an_access_token_that_fits_no_header_is_not_sent(informed, token):
    informed.access_token = token
    assert sign_in(informed, groups=None)[1].status_code == 403
    assert "/me" not in informed.asked


def test_an_access_token_that_is_not_the_one_of_the_id_token_is_not_sent(informed):
    half = hashlib.sha256(informed.access_token.encode()).digest()[:16]
    right = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert sign_in(informed, groups=None, at_hash="another")[1].status_code == 403
    assert "/me" not in informed.asked
    assert is_in(sign_in(informed, groups=None, at_hash=right)[0])


@pytest.mark.parametrize("claims", [ELSEWHERE, {"groups": None, "hasgroups": True}])
def test_groups_that_nobody_tells_are_no_reason_for_another_role(provider, pages, claims):
    save(provider, unmatched_role="auditor")
    assert sign_in(provider, **claims)[1].status_code == 403
    assert "groups assigned to the application" in refusal()
    assert "groups assigned to the application" in body(sign_in(provider, pages, path=TRIAL, **claims)[1])
