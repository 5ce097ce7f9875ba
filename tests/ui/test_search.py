"""The command palette's answers: what is found by what, who may see it, what can be done with it, what it costs."""

from __future__ import annotations

import re

import pytest

from keygroups.models import Key
from kmes.ui.search import search
from tests.ui.rows import body, make_job, make_key

IN_PALETTE = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "palette-results"}


def found(text, user):
    """What a text finds, as {heading: [labels]}."""
    return {kind.label: [hit.label for hit in kind.hits] for kind in search(text, user)}


@pytest.fixture
def admin(people):
    return people["admin"]


@pytest.fixture
def key(group):
    return make_key(group, "payments-2026", thumbprint="ab12cd" + "0" * 58, version="9f8e7d6c5b")


def test_an_empty_palette_lists_the_pages_and_what_can_be_added(admin):
    kinds = found("", admin)
    assert {"Dashboard", "Keys", "Jobs", "Preferences"} <= set(kinds["Go to"])
    assert kinds["Actions"] == ["Add › Key Group", "Add › Credential"]


@pytest.mark.parametrize("text", ["payments-2026", "2026", "AB12CD", "9f8e7d"])
def test_a_key_is_found_by_its_name_thumbprint_or_azure_version(text, admin, key):
    assert found(text, admin)["Keys"] == ["payments-2026"]


@pytest.mark.parametrize("text", ["PAY", "pay-in", "ada"])
def test_a_group_is_found_by_its_name_its_name_in_azure_or_its_owner(text, admin, group):
    assert found(text, admin)["Key groups"] == ["payments"]


@pytest.mark.parametrize("text", ["{code}", "job-{code}", "JOB-{code}", "payments-1"])
def test_a_job_is_found_by_its_number_or_what_it_works_on(text, admin, group):
    job = make_job(group)
    assert found(text.format(code=job.code), admin)["Jobs"] == [str(job)]


@pytest.mark.parametrize("text", ["conto", "0f-client", "0f-tenant"])
def test_a_credential_is_found_by_its_name_tenant_or_client(text, admin, credential):
    assert found(text, admin)["Cloud Credentials"] == ["Contoso"]


def test_what_begins_with_the_text_comes_first(admin, group):
    for name in ("a-late-tde", "tde-first"):
        make_key(group, name)
    assert found("tde", admin)["Keys"] == ["tde-first", "a-late-tde"]


def test_the_best_hit_brings_its_actions_in_the_words_of_its_menu(admin, key):
    kinds = search("payments-2026", admin)
    actions = next(kind for kind in kinds if kind.label == "Actions for payments-2026")
    labels = {hit.label: hit for hit in actions.hits}
    assert labels["Cloud › Disable"].url
    assert labels["Cloud › Disable"].method == "dialog"
    assert labels["Cloud › Synchronize"].reason
    assert labels["Cloud › Synchronize"].url == ""


def test_a_verb_before_a_name_offers_that_action(admin, group):
    make_key(group, "fresh")
    kinds = search("synchronize fresh", admin)
    assert [(hit.label, hit.detail) for hit in kinds[0].hits] == [("Cloud › Synchronize", "fresh")]
    assert "/jobs/start/synchronize/?key=" in kinds[0].hits[0].url


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("random pay", "Create › Random"),
        ("FORCE ROT pay", "Cloud › Force Rotation"),
        ("rotate pay", "Cloud › Force Rotation"),
        ("drift pay", "Cloud › Check Drift"),
    ],
)
def test_a_verb_may_be_the_menus_or_the_entrys_word(text, action, admin, group):
    assert found(text, admin)["Actions"] == [action]


def test_a_submenus_word_finds_all_its_entries(admin, group):
    assert found("create pay", admin)["Actions"] == ["Create › Random", "Create › Keys by pattern"]


@pytest.mark.parametrize(
    ("text", "page"),
    [
        *(("mfa", "Second factor"), ("2FA", "Second factor"), ("second factor", "Second factor")),
        *(("passkey", "Second factor"), ("password", "Profile"), ("four eyes", "Approval policies")),
    ],
)
def test_pages_beside_the_tree_are_found_by_the_words_that_people_type(text, page, admin):
    assert page in found(text, admin)["Go to"]


def test_a_page_by_its_own_name_comes_before_those_of_its_section(admin):
    pages = found("log", admin)["Go to"]
    assert pages.index("System Logs") < pages.index("Jobs")


def test_a_name_that_begins_like_a_verb_is_found_all_the_same(admin, group):
    make_key(group, "delete me later")
    assert found("delete me", admin)["Keys"] == ["delete me later"]


@pytest.mark.parametrize("name", ["rotate by hand", "drift of ice", "force and mass"])
def test_a_name_that_begins_like_the_stem_of_a_verb_is_found_all_the_same(name, admin, group):
    make_key(group, name)
    assert name in found(name, admin)["Keys"]


def test_a_role_is_offered_what_it_may_do_and_no_more(people, key):
    labels = found("payments-2026", people["auditor"])["Actions for payments-2026"]
    assert labels == ["Copy key identifier"]
    assert "Actions" not in found("", people["auditor"])


def test_who_may_not_read_logs_is_not_led_there(people, monkeypatch):
    person = people["auditor"]
    monkeypatch.setattr(type(person), "has_right", lambda _self, right: right == "console.read")
    assert "System Logs" not in found("", person)["Go to"]


def test_who_may_read_nothing_finds_no_object(people, key, monkeypatch):
    person = people["auditor"]
    monkeypatch.setattr(type(person), "has_right", lambda _self, _right: False)
    assert set(found("payments", person)) <= {"Go to"}


@pytest.mark.parametrize("text", ["%", "_", "'", "   ", "x" * 5000, "<script>", "synchronize \x7f"])
def test_any_text_gives_an_answer(text, pages):
    answer = pages.get("/search/", {"q": text}, **IN_PALETTE)
    assert answer.status_code == 200
    assert "<script>" not in body(answer)


def test_a_percent_sign_is_no_wildcard(admin, key):
    assert "Keys" not in found("%", admin)


def test_the_palette_gets_options_with_an_address_and_the_page_of_their_actions(pages, key):
    text = body(pages.get("/search/?q=payments-2026", **IN_PALETTE))
    assert "<html" not in text
    option = re.search(rf'<a role="option"[^>]*href="/keys/{key.pk}/"[^>]*>', text)
    assert option
    assert f'data-actions="/keys/{key.pk}/actions/"' in option.group()
    ids = re.findall(r'<a role="option" id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 3


def test_without_script_the_same_is_a_page_of_links(pages, key):
    text = body(pages.get("/search/?q=payments-2026"))
    assert "<html" in text
    assert f'href="/keys/{key.pk}/"' in text
    assert f'href="/keys/{key.pk}/actions/"' in text
    assert "Cloud › Disable" in text


def test_nothing_found_says_so(pages):
    assert "matches “zzz”" in body(pages.get("/search/?q=zzz", **IN_PALETTE))
    assert "No results" in body(pages.get("/search/?q=zzz"))


def test_a_stranger_finds_nothing(client, db):
    assert client.get("/search/?q=x").status_code == 302


@pytest.mark.parametrize("text", ["payments", "payments-2026", "synchronize payments", "force rotation pay", "nothing"])
def test_an_answer_costs_at_most_twelve_queries(text, pages, group, django_assert_max_num_queries):
    for number in range(20):
        make_key(group, f"payments-2026-{number}", version=f"v{number}" if number == 3 else "")
        make_job(group, state="failed", kind="rotate")
    with django_assert_max_num_queries(12):
        assert pages.get("/search/", {"q": text}, **IN_PALETTE).status_code == 200


def test_ten_thousand_keys_are_searched_and_six_shown(admin, group, django_assert_max_num_queries):
    Key.objects.bulk_create(
        Key(
            group=group,
            name=f"key-{number:05}",
            key_spec="RSA-4096",
            public_spki=b"p" * 550,
            wrapped_private=b"w" * 2400,
            thumbprint=f"{number:064x}",
            created_by="ada",
        )
        for number in range(10_000)
    )
    with django_assert_max_num_queries(24):
        assert len(found("key-09", admin)["Keys"]) == 6
        assert "Keys" not in found("no such key", admin)
