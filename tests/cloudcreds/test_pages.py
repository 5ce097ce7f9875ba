"""The credential pages: tests with their remedies, refused input, and what no page shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from cloudcreds.models import CloudCredential, KeyVault
from jobs.models import Job
from kmes.core.clock import now
from tests.cloudcreds.builders import CLIENT, OTHER, SECRET, open_sealed, typed

pytestmark = pytest.mark.django_db
QUERIES = 12


@pytest.fixture
def pages(client, people):
    client.force_login(people["admin"])
    return client


def vault_of(credential, **values):
    row = {"name": "kv-one", "url": "https://kv-one.vault.azure.net", **values}
    return KeyVault.objects.create(credential=credential, **row)


def result(name, ok, *, kind="", text="found"):
    return {"name": name, "ok": ok, "text": text, "remedy": "", "duration_ms": 3, "kind": kind}


def store(credential, *results, vault=None):
    credential.last_test, credential.last_tested_at = list(results), now()
    credential.last_test_ok = all(one["ok"] is not False for one in results)
    credential.save()
    if vault is not None:
        vault.last_test, vault.last_test_ok = credential.last_test, credential.last_test_ok
        vault.last_tested_at = credential.last_tested_at
        vault.save()


def page_of(pages, credential, query=""):
    return pages.get(credential.get_absolute_url() + query).content.decode()


@pytest.mark.parametrize(
    ("kind", "portal", "command"),
    [
        ("permission", "Access policies", f"az keyvault set-policy --name kv-one --spn {CLIENT}"),
        ("firewall", "Networking", "az keyvault network-rule add --name kv-one"),
        ("standard_vault", "Pricing tier: Premium", "properties.sku.name=premium"),
        ("wrong_secret", "New client secret", "az ad app credential reset"),
        ("expired_secret", "New client secret", "az ad app credential reset"),
        ("wrong_client", "Overview", "az ad app list"),
        ("wrong_tenant", "Tenant ID", "az account show"),
    ],
)
def test_a_failed_check_says_the_way_in_the_portal_and_the_command(kind, portal, command, pages, credential):
    vault = vault_of(credential)
    store(credential, result("Token", ok=True), result("Import", ok=False, kind=kind), vault=vault)
    text = page_of(pages, credential)
    assert portal in text
    assert command in text
    assert 'data-copy="az ' in text


def test_each_vault_keeps_its_own_test(pages, credential):
    vault = vault_of(credential)
    store(credential, result("Create", ok=True, text="of the vault"), vault=vault)
    store(credential, result("Token", ok=True, text="without a vault"))
    assert "of the vault" not in page_of(pages, credential)
    assert "of the vault" in page_of(pages, credential, f"?vault={vault.pk}")


def test_a_running_test_is_shown_and_asks_for_news_until_it_has_ended(pages, credential):
    job = Job.objects.create(
        kind="test_connection", credential=credential, actor_name="ada", trigger="user", run_after=now()
    )
    text = page_of(pages, credential)
    assert str(job) in text
    address = reverse("cloudcreds:last_test", args=[credential.pk])
    assert f'hx-get="{address}?seen=' in text
    digest = text.partition(f"{address}?seen=")[2].partition('"')[0]
    assert pages.get(address, {"seen": digest}).status_code == 204
    store(credential, result("Token", ok=True))
    assert "Token" in pages.get(address, {"seen": digest}).content.decode()
    Job.objects.update(state="succeeded")
    assert "hx-get" not in pages.get(address, {"seen": digest}).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("tenant_id", "1111 1111-1111-1111-1111-111111111111", "This is not a tenant ID."),
        ("client_id", "my app", "This is not a client ID."),
        ("client_id", "\U0001f511", "This is not a client ID."),
        ("secret", "abc\ndef~ghi", "holds a space or a line break in its middle"),
        ("secret", "abc\U0001f511def", "holds a character that no client secret has"),
        ("name", "\U0001f511 key", "contains a symbol"),
        ("name", "n" * 129, "at most 128 fit"),
        ("name", " ", "The credential needs a name."),
    ],
)
def test_bad_input_gets_a_clear_sentence_at_its_field_and_the_secret_is_not_echoed(
    field, value, sentence, pages, device_row
):
    answer = pages.post(reverse("cloudcreds:add"), typed(**{field: value}))
    text = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in text
    at_field = text.partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert sentence in at_field
    assert SECRET not in text
    assert "def~ghi" not in text


def test_the_end_of_the_secrets_id_tells_which_secret_it_is(pages, device_row):
    pages.post(reverse("cloudcreds:add"), typed(secret_id=f" {OTHER.upper()[:-4]}ABCD\n"))
    credential = CloudCredential.objects.get()
    assert credential.secret_id == f"{OTHER[:-4]}abcd"
    page = pages.get(credential.get_absolute_url()).content.decode()
    assert ">abcd</span>" in page
    assert credential.secret_id not in page
    # A new secret has another id.
    address = reverse("cloudcreds:edit", args=[credential.pk])
    changes = {"secret_id": credential.secret_id, "secret": SECRET + "2", "lock_version": credential.lock_version}
    assert pages.post(address, typed(**changes)).status_code == 302
    credential.refresh_from_db()
    assert credential.secret_id == ""


def test_a_secret_typed_for_its_id_is_neither_kept_nor_shown_again(pages, device_row):
    answer = pages.post(reverse("cloudcreds:add"), typed(secret_id=SECRET))
    assert answer.status_code == 422
    assert "This is not a secret ID" in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not CloudCredential.objects.exists()


def test_a_name_of_128_characters_and_a_secret_with_a_final_newline_are_taken(pages, device_row, mfk):
    answer = pages.post(reverse("cloudcreds:add"), typed(name="n" * 128, secret=f" {SECRET}\r\n"))
    assert answer.status_code == 302
    assert open_sealed(CloudCredential.objects.get(), mfk) == SECRET


def test_after_adding_from_the_wizard_one_is_back_there_and_nowhere_else(pages, device_row):
    add = reverse("cloudcreds:add")
    assert pages.post(f"{add}?next=/setup/3/", typed(name="one")).url == "/setup/3/"
    assert pages.post(f"{add}?next=https://evil.example/", typed(name="two")).url.startswith("/cloud-credentials/")
    assert pages.post(f"{add}?next=//evil.example/", typed(name="three")).url.startswith("/cloud-credentials/")


def test_a_worker_looks_up_a_tenant_that_was_typed_as_a_domain(pages, device_row):
    pages.post(reverse("cloudcreds:add"), typed())
    assert not Job.objects.exists()
    answer = pages.post(reverse("cloudcreds:add"), typed(name="two", tenant_id="contoso.onmicrosoft.com"), follow=True)
    job = Job.objects.get()
    assert (job.kind, job.credential.name, job.params["vault_id"]) == ("test_connection", "two", "")
    assert "asks Entra for the ID of the tenant contoso.onmicrosoft.com" in answer.content.decode()
    # The one that waits serves both.
    changes = {"name": "two", "tenant_id": "fabrikam.onmicrosoft.com", "lock_version": job.credential.lock_version}
    pages.post(reverse("cloudcreds:edit", args=[job.credential.pk]), typed(**changes))
    assert Job.objects.count() == 1


def test_the_guide_fills_in_the_ids_of_a_credential(pages, credential):
    address = reverse("cloudcreds:guide")
    assert "&lt;client-id&gt;" in pages.get(address).content.decode()
    text = pages.get(address, {"credential": credential.pk}).content.decode()
    assert f"--assignee {credential.client_id}" in text
    for word in ("Get", "List", "Create", "Import", "Update", "Delete", "Recover", "Purge", "Sign"):
        assert f"<dt>{word}" in text
    assert "login.microsoftonline.com:443" in text
    assert "Key Vault Crypto Officer" in text


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_who_may_not_manage_credentials_sees_the_test_but_no_button(role, client, people, credential):
    store(credential, result("Token", ok=True))
    client.force_login(people[role])
    text = page_of(client, credential)
    assert "Token" in text
    assert "Test again" not in text


def test_the_pages_cost_few_queries(pages, credential, django_assert_max_num_queries):
    for number in range(5):
        vault_of(credential, name=f"kv-{number}", url=f"https://kv-{number}.vault.azure.net")
    store(credential, *[result(name, ok=True) for name in ("Token", "List", "Get")])
    for address in (credential.get_absolute_url(), reverse("cloudcreds:guide"), reverse("cloudcreds:add")):
        with django_assert_max_num_queries(QUERIES):
            assert pages.get(address).status_code == 200


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "expired on"), (0, "expires today"), (10, "expires in 10 days"), (300, ""), (None, "")]
)
def test_a_secret_that_ends_soon_says_what_to_do(days, words, pages, credential):
    credential.sign_in_expires_on = None if days is None else now().date() + timedelta(days=days)
    credential.save()
    text = page_of(pages, credential)
    assert ("The client secret " + words in text) if words else ("paste its Value under Edit" not in text)


def test_the_guide_leads_nobody_to_a_form_their_role_may_not_use(client, people, credential):
    for role, offered in (("admin", True), ("auditor", False)):
        client.force_login(people[role])
        page = client.get(reverse("cloudcreds:guide")).content.decode()
        assert (f'href="{reverse("cloudcreds:add")}"' in page) == offered


def test_the_sealed_secret_is_on_no_page(pages, credential, people):
    sealed = bytes(CloudCredential.objects.get(pk=credential.pk).sealed_secret)
    for address in (credential.get_absolute_url(), reverse("cloudcreds:edit", args=[credential.pk]), "/setup/3/"):
        content = pages.get(address).content
        assert SECRET.encode() not in content
        assert sealed[:24] not in content
        assert sealed.hex()[:48].encode() not in content
