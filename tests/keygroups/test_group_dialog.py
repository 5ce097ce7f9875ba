"""The Key Group dialog: two steps, errors at the right field, live sentence, conflict, deletion."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from cloudcreds.models import KeyVault
from keygroups.consumers import CONSUMERS
from keygroups.models import KeyGroup
from keygroups.rotation_schedule import add_period
from kmes.core.clock import now
from tests.keygroups.builders import edit_form, make_credential, make_key, make_vault, push, typed

ADD = "/keys/groups/add/"
STEP_2 = f"{ADD}?key_kind=asymmetric&storage=hsm"


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def test_step_one_asks_for_kind_and_storage(pages, db) -> None:
    page = text_of(pages.get(ADD))
    for label in ("Key Type", "Asymmetric", "Storage Location", "HSM Protected", ">OK<"):
        assert label in page


def test_step_two_has_the_sections_and_labels_of_the_console(pages, vault) -> None:
    page = text_of(pages.get(STEP_2))
    for label in (
        *("<legend>Group</legend>", "<legend>Info</legend>", "<legend>Azure Properties</legend>"),
        *("Name", "Service", "Microsoft Azure", "Credential", "Key Type", "Key Length", "Key Usage"),
        *("Rotate Key", "Rotate Every", "Keep key valid for", "Key Vault", "Azure key name", "Enabled on push"),
        *("Sign and verify", "Encrypt and decrypt", "Wrap and unwrap", "kv-prod (Premium)", "Permitted operations"),
        *('label="RSA"', 'label="ECC"', 'value="P-256K"'),
    ):
        assert label in page, label
    assert "style=" not in page
    assert f'value="{vault.credential.pk}" selected' in page


def test_without_credentials_the_dialog_leads_to_them(pages, db) -> None:
    assert reverse("cloudcreds:add") in text_of(pages.get(STEP_2))


def test_a_group_is_added_and_shown(pages, vault) -> None:
    response = pages.post(
        ADD, typed(vault.credential, vault, name="TDE prod", valid_for="120", tags="team=db", usage=["sign", "wrap"])
    )
    group = KeyGroup.objects.get()
    assert response.status_code == 302
    assert response["Location"] == group.get_absolute_url()
    assert (group.azure_name, group.vault, group.valid_for, group.tags) == ("TDE-prod", vault, 120, {"team": "db"})
    assert group.usage == ["sign", "wrap"]
    page = text_of(pages.get(response["Location"]))
    assert "Key group TDE prod created." in page
    assert "keys valid 120 days" in page


def test_from_the_dialog_the_whole_page_goes_to_the_group(pages, vault) -> None:
    response = pages.post(STEP_2, typed(vault.credential, vault), headers={"HX-Request": "true"})
    assert response["HX-Redirect"].startswith("/keys/?group=")


def test_a_vault_can_be_typed(pages, credential) -> None:
    pages.post(ADD, typed(credential, vault_url=" https://kv-new.vault.azure.net/ "))
    assert KeyGroup.objects.get().vault.url == "https://kv-new.vault.azure.net"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "pay 🔑"}, "name"),
        ({"credential": ""}, "credential"),
        ({"credential": "nonsense"}, "credential"),
        ({"key_type": "ECC"}, "key_spec"),
        ({"key_spec": "RSA-1024"}, "key_spec"),
        ({"key_type": "ECC", "key_spec": "P-256", "usage": ["sign", "encrypt"]}, "usage"),
        ({"usage": []}, "usage"),
        ({"rotate_every": ""}, "rotate_every"),
        ({"rotate_every": "0"}, "rotate_every"),
        ({"rotate_every": "ninety"}, "rotate_every"),
        ({"rotate_unit": "years"}, "rotate_unit"),
        ({"valid_for": "-1"}, "valid_for"),
        ({"valid_for": "99999999999999999999"}, "valid_for"),
        ({"azure_name": "not legal"}, "azure_name"),
        ({"azure_name": "x" * 128}, "azure_name"),
        ({"azure_name": "pay🔑"}, "azure_name"),
        ({"name": "本番"}, "azure_name"),
        ({"vault_url": ""}, "vault"),
        ({"vault_url": "https://evil.example"}, "vault_url"),
        ({"vault": "nonsense"}, "vault"),
        ({"tags": "nonsense"}, "tags"),
    ],
)
def test_a_bad_value_comes_back_at_its_field(pages, credential, changes, field) -> None:
    response = pages.post(ADD, typed(credential, **changes))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert "Not saved" in text_of(response)
    assert not KeyGroup.objects.exists()


def test_a_taken_name_comes_back_at_the_name(pages, group) -> None:
    response = pages.post(ADD, typed(group.credential, group.vault, name="Payments", azure_name="other"))
    assert list(response.context["form"].errors) == ["name"]
    response = pages.post(ADD, typed(group.credential, group.vault, name="other", azure_name="PAYMENTS"))
    assert list(response.context["form"].errors) == ["azure_name"]


def test_a_vault_of_another_credential_is_refused_at_the_vault(pages, vault) -> None:
    response = pages.post(ADD, typed(make_credential("Other"), vault))
    assert list(response.context["form"].errors) == ["vault"]
    assert "Contoso" in text_of(response)


def test_the_dialog_is_a_fragment_for_script(pages, vault) -> None:
    for url in (ADD, STEP_2):
        page = text_of(pages.get(url, headers={"HX-Request": "true"}))
        assert "<html" not in page
        assert 'hx-target="#dialog-content"' in page


def test_an_untouched_edit_saves_the_same(pages, group) -> None:
    url = reverse("keygroups:group_edit", args=[group.pk])
    page = text_of(pages.get(url))
    assert "Edit Key Group payments" in page
    assert "Rotates every 90 days" in page
    assert pages.post(url, edit_form(group)).status_code == 302
    group.refresh_from_db()
    assert group.lock_version == 1


def test_a_conflict_shows_both_sides_and_saving_again_keeps_mine(pages, group) -> None:
    url = reverse("keygroups:group_edit", args=[group.pk])
    assert pages.post(url, edit_form(group, owner="Ada")).status_code == 302
    response = pages.post(url, edit_form(group, owner="Bob"))
    assert response.status_code == 422
    page = text_of(response)
    for wanted in ("changed by somebody else", "Ada", "Bob", "Stored now", "Saving again keeps your values"):
        assert wanted in page
    assert 'name="lock_version" value="2"' in page
    assert pages.post(url, edit_form(group, owner="Bob", lock_version="2")).status_code == 302
    group.refresh_from_db()
    assert group.owner == "Bob"


@pytest.mark.parametrize("lock_version", ["", "nonsense", "0"])
def test_an_edit_without_its_version_never_overwrites(pages, group, lock_version) -> None:
    url = reverse("keygroups:group_edit", args=[group.pk])
    assert pages.post(url, edit_form(group, owner="Bob", lock_version=lock_version)).status_code == 422
    group.refresh_from_db()
    assert group.owner == ""


def test_what_is_settled_is_switched_off_with_the_reason(pages, group) -> None:
    url = reverse("keygroups:group_edit", args=[group.pk])
    key = make_key(group)
    page = pages.get(url)
    assert page.context["form"].fields["key_type"].disabled
    assert not page.context["form"].fields["vault"].disabled
    push(key)
    page = pages.get(url)
    assert [name for name, field in page.context["form"].fields.items() if field.disabled] == [
        *("credential", "key_type", "vault", "vault_url", "azure_name"),
    ]
    assert "keys were pushed there" in text_of(page)
    # What a browser sends for switched-off fields, or a forger instead of it, changes nothing.
    forged = edit_form(group, azure_name="stolen", vault_url="kv-evil", owner="Ada")
    assert pages.post(url, forged).status_code == 302
    group.refresh_from_db()
    assert (group.azure_name, group.vault.name, group.owner) == ("payments", "kv-prod", "Ada")


def preview(pages, data, changed="", **query):
    response = pages.post(
        reverse("keygroups:preview", query=query) if query else reverse("keygroups:preview"),
        data,
        headers={"HX-Request": "true", "HX-Trigger-Name": changed},
    )
    assert response.status_code == 200
    return text_of(response)


def test_the_sentence_says_what_the_choices_mean(pages, vault) -> None:
    said = preview(pages, typed(vault.credential, vault, rotate_every="2", rotate_unit="months", valid_for="1"))
    assert f"Rotates every 2 months, next on {add_period(now(), 2, 'months'):%Y-%m-%d}, keys valid 1 day" in said
    assert "pushes to kv-prod (Premium)." in said
    assert "Keys expire before their successor is due" in said
    off = preview(pages, typed(vault.credential, vault, rotate="", valid_for="10"))
    assert "Never rotates by itself" in off
    assert "nothing replaces them" in off


def test_the_sentence_copes_with_a_form_half_filled_in(pages, credential) -> None:
    assert "no vault chosen yet" in preview(pages, {})
    assert "kv-prod" in preview(pages, typed(credential, rotate_every="", valid_for="x"))
    assert "tier not known yet" in preview(pages, typed(credential))
    make_vault(credential, "kv-std", tier="standard")
    assert "takes no HSM keys" in preview(pages, typed(credential, vault_url="kv-std"))


def test_an_ecc_choice_narrows_lengths_and_uses(pages, vault) -> None:
    said = preview(pages, typed(vault.credential, vault, key_type="ECC"), changed="key_type")
    assert '<option value="P-256" selected>P-256</option>' in said
    assert "RSA-2048" not in said
    assert 'value="sign"' in said
    assert 'value="encrypt"' not in said
    other = make_credential("Other")
    assert "kv-prod" not in preview(pages, typed(other, vault), changed="credential")
    assert "kv-prod" in preview(pages, typed(vault.credential, vault), changed="credential")


def test_the_azure_name_follows_the_name_until_another_is_typed(pages, credential) -> None:
    follows = 'data-follows="#id_name"'
    assert follows in text_of(pages.get(STEP_2))
    assert follows in text_of(pages.post(ADD, typed(credential, vault_url="", name="a b", azure_name="a-b")))
    assert follows not in text_of(pages.post(ADD, typed(credential, vault_url="", azure_name="mine")))


def test_the_preview_warns_of_policies_of_the_vault_that_would_refuse_the_keys(pages, vault) -> None:
    vault.policies = [
        {"rule": "expiry_needed", "value": None, "denies": True, "title": "Expiry"},
        {"rule": "minimum_rsa_bits", "value": 4096, "denies": True, "title": "Size"},
        {"rule": "maximum_days", "value": 30, "denies": False, "title": "Reported only"},
    ]
    vault.save()
    said = preview(pages, typed(vault.credential, vault, key_type="RSA", key_spec="RSA-2048", valid_for=""))
    assert "requires an expiry" in said
    assert "requires RSA keys of 4096 bits or more. This key has 2048" in said
    said = preview(pages, typed(vault.credential, vault, key_type="RSA", key_spec="RSA-4096", valid_for="60"))
    assert "A policy of the vault" not in said


def test_the_preview_of_an_edit_keeps_the_due_date(pages, group) -> None:
    due = now() + timedelta(days=5)
    KeyGroup.objects.filter(pk=group.pk).update(next_due_at=due)
    assert f"next on {due:%Y-%m-%d}" in preview(pages, edit_form(group), group=str(group.pk))


def test_a_preview_changes_nothing(pages, credential) -> None:
    preview(pages, typed(credential))
    assert (KeyGroup.objects.count(), KeyVault.objects.count()) == (0, 0)


def test_an_empty_group_is_deleted_after_a_question(pages, group) -> None:
    url = reverse("keygroups:group_delete", args=[group.pk])
    page = text_of(pages.get(url))
    assert "The vault kv-prod is left untouched" in page
    assert KeyGroup.objects.exists()
    assert pages.post(url).status_code == 302
    assert not KeyGroup.objects.exists()
    assert pages.post(url).status_code == 404


def test_a_group_with_keys_is_not_deleted_and_the_page_says_why(pages, group) -> None:
    make_key(group)
    url = reverse("keygroups:group_delete", args=[group.pk])
    assert "has 1 key" in text_of(pages.get(url))
    response = pages.post(url)
    assert response.status_code == 422
    assert "switch Rotate Key off" in text_of(response)


def test_changes_need_post_and_a_token(pages, group, people) -> None:
    assert pages.get(reverse("keygroups:preview")).status_code == 405
    assert pages.delete(reverse("keygroups:group_delete", args=[group.pk])).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"], backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(reverse("keygroups:group_delete", args=[group.pk])).status_code == 403


# --- Presets by consumer ---------------------------------------------------------------------
def test_a_consumer_chosen_in_step_one_presets_what_it_takes(pages, vault) -> None:
    assert 'name="consumer"' in text_of(pages.get(ADD))
    page = text_of(pages.get(f"{STEP_2}&consumer=always_encrypted"))
    assert '<option value="always_encrypted" selected>' in page
    assert '<option value="RSA-3072" selected>' in page
    boxes = re.findall(r'<input type="checkbox" name="usage" value="(\w+)"[^>]* checked', page)
    assert boxes == ["sign", "wrap"]


def test_a_consumer_chosen_in_the_dialog_sets_key_and_uses_and_says_what_it_needs(pages, vault) -> None:
    vault.recovery_level = "Recoverable+Purgeable"
    vault.save()
    said = preview(pages, typed(vault.credential, vault, consumer="sql_tde"), changed="consumer")
    assert '<option value="RSA-3072" selected>3072</option>' in said
    for refused in ("RSA-4096", 'value="ECC"'):
        assert refused not in said
    assert "SQL Server TDE takes RSA 2048, 3072; uses: Wrap and unwrap." in said
    assert "kv-prod has no purge protection" in said
    assert "wrapKey, unwrapKey" in said
    again = preview(pages, typed(vault.credential, vault), changed="consumer")
    assert "RSA-4096" in again
    assert 'value="ECC"' in again


@pytest.mark.parametrize(
    ("consumer", "changes", "field", "words"),
    [
        ("sql_tde", {"key_spec": "RSA-4096", "usage": ["wrap"]}, "key_spec", "SQL Server TDE can’t"),
        ("storage", {"key_type": "ECC", "key_spec": "P-256", "usage": ["sign"]}, "key_spec", "Azure Storage can’t"),
        ("always_encrypted", {"usage": ["wrap"]}, "usage", "also needs: Sign and verify"),
        ("kafka", {"usage": ["wrap"]}, "usage", "also needs: Encrypt and decrypt"),
        ("nonsense", {}, "consumer", "nonsense"),
    ],
)
def test_what_a_consumer_can_not_use_is_refused_and_said_at_once(
    pages, credential, consumer, changes, field, words
) -> None:
    chosen = typed(credential, consumer=consumer, **changes)
    response = pages.post(ADD, chosen)
    assert field in response.context["form"].errors
    assert words.replace("’", "&#x27;") in text_of(response)
    assert not KeyGroup.objects.exists()
    if consumer != "nonsense":
        assert words.replace("’", "&#x27;") in preview(pages, chosen, changed="usage")


@pytest.mark.parametrize("consumer", CONSUMERS.values(), ids=list(CONSUMERS))
def test_what_a_consumer_presets_is_accepted(pages, credential, consumer) -> None:
    response = pages.post(ADD, typed(credential, consumer=consumer.value, **consumer.preset()))
    assert response.status_code == 302, response.context["form"].errors
    group = KeyGroup.objects.get()
    assert (group.key_spec, group.usage) == (consumer.specs[0], list(consumer.usages))
