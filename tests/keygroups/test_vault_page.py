"""A vault's page: how it and its keys are set up, with what to do, for whoever reads it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.models import KeyVault
from keygroups.key_readiness import read_cards
from keygroups.models import KeyGroup, KeyReading
from kmes.core.clock import now

NOTIFY = {"rotate_after_create": "", "rotate_before_expiry": "", "notify_before_expiry": "P30D", "expires_after": ""}


def read(group, *, rotation=NOTIFY, platforms=None, **values):
    KeyGroup.objects.filter(pk=group.pk).update(cloud_state="live")
    values = {"read_at": now(), "rotation": rotation, "platforms": platforms or {"2": 1}} | values
    KeyReading.objects.update_or_create(group=group, defaults=values)
    return lines(group)


def lines(group):
    card = next(card for card in read_cards(KeyVault.objects.get(pk=group.vault_id)).cards if card.group == group)
    return card, {line.name: line for line in card.lines}


def test_a_key_that_only_notifies_is_well_and_the_scanners_finding_is_explained(group):
    card, found = read(group)
    assert not card.rotates
    line = found["Rotation policy"]
    assert (line.word, line.colour, line.cis) == ("Notify only", "good", "8.3.9")
    assert "record an exception" in line.meaning


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"rotate_after_create": "P90D"}, "Rotate P90D after creation"),
        ({"rotate_before_expiry": "P7D"}, "Rotate P7D before expiry"),
    ],
)
def test_a_rotate_action_is_an_alarm(policy, said, group):
    card, found = read(group, rotation=NOTIFY | policy)
    assert card.rotates
    assert (found["Rotation policy"].word, found["Rotation policy"].colour) == ("Azure rotates", "bad")
    assert said in found["Rotation policy"].meaning


def test_a_policy_that_may_not_be_read_says_why(group):
    card, found = read(group, rotation=None, rotation_problem="The right Getrotationpolicy is missing.")
    assert not card.rotates
    assert (found["Rotation policy"].word, found["Rotation policy"].colour) == ("Not known", "neutral")
    assert "Getrotationpolicy" in found["Rotation policy"].meaning


@pytest.mark.parametrize(
    ("platforms", "word", "colour"),
    [
        ({"2": 3}, "2", "good"),
        ({"1": 1, "2": 2}, "1", "warning"),
        ({"": 1, "2": 1}, "Not known", "neutral"),
        ({"0": 1}, "Not known", "neutral"),
    ],
)
def test_the_hsm_platform(platforms, word, colour, group):
    _card, found = read(group, platforms=platforms)
    assert (found["HSM platform"].word, found["HSM platform"].colour) == (word, colour)
    assert bool(found["HSM platform"].cure) == (colour == "warning")


def test_a_group_without_a_live_key_raises_no_alarm(group):
    read(group, rotation=NOTIFY | {"rotate_after_create": "P90D"})
    KeyGroup.objects.filter(pk=group.pk).update(cloud_state="absent")
    card, found = lines(group)
    assert not card.rotates
    assert {found[name].word for name in ("Rotation policy", "HSM platform")} == {"No key"}


def test_a_key_that_was_never_compared_says_so(group):
    KeyGroup.objects.filter(pk=group.pk).update(cloud_state="live")
    _card, found = lines(group)
    for name in ("Rotation policy", "HSM platform"):
        assert found[name].word == "Not read yet"
        assert "Check Drift" in found[name].cure


@pytest.mark.parametrize(
    ("valid_for", "word", "colour", "said"),
    [(None, "None", "warning", "never expire"), (90, "Set", "good", "valid for 90 days")],
)
def test_the_expiry_of_new_versions(valid_for, word, colour, said, group):
    KeyGroup.objects.filter(pk=group.pk).update(valid_for=valid_for)
    _card, found = lines(group)
    assert (found["Expiry"].word, found["Expiry"].colour, found["Expiry"].cis) == (word, colour, "8.3.1, 8.3.2")
    assert said in found["Expiry"].meaning


def test_what_policies_deny_to_the_next_key_is_a_line_of_its_own(group):
    rows = [{"rule": "expiry_needed", "title": "Expiry", "denies": True, "value": None}]
    KeyVault.objects.filter(pk=group.vault_id).update(policies=rows)
    KeyGroup.objects.filter(pk=group.pk).update(valid_for=None)
    _card, found = lines(group)
    assert (found["Azure Policy"].word, found["Azure Policy"].colour) == ("Denied", "bad")
    assert "Keep key valid for" in found["Azure Policy"].details[0]


# --- the page ----------------------------------------------------------------------------------
def page_of(client, group):
    answer = client.get(f"/keys/vaults/{group.vault_id}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_reader_sees_it_and_only_some_may_change(group, client, people):
    read(group, rotation=NOTIFY | {"rotate_after_create": "P90D"})
    replace = f"/jobs/start/set_rotation_policy/?group={group.pk}"
    for role, may_replace, may_list in (
        ("admin", True, True),
        ("custodian", True, True),
        ("operator", True, False),
        ("auditor", False, False),
    ):
        client.force_login(people[role])
        page = page_of(client, group)
        assert "Azure rotates 1 key of this vault" in page
        assert (replace in page) == may_replace, role
        assert ("/jobs/start/list_vaults/" in page) == may_list, role


def test_states_are_words_and_not_colours_alone(group, client, people):
    read(group)
    client.force_login(people["admin"])
    page = page_of(client, group)
    for word in ("Not read yet", "Notify only", "8.3.9", "8.3.6"):
        assert word in page


def test_what_is_old_says_so(group, client, people):
    read(group, read_at=now() - timedelta(days=8))
    client.force_login(people["admin"])
    assert "old" in page_of(client, group).split("Notify only")[1].split("</tr>")[0]


def test_a_vault_without_key_groups_says_what_comes_next(group, client, people):
    other = KeyVault.objects.create(
        credential=group.credential, name="kv-empty", url="https://kv-empty.vault.azure.net"
    )
    client.force_login(people["admin"])
    page = client.get(f"/keys/vaults/{other.pk}/").content.decode()
    assert "No key group pushes to this vault" in page
    assert client.get("/keys/vaults/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_groups(group, client, people, django_assert_max_num_queries):
    client.force_login(people["admin"])
    page_of(client, group)
    for number in range(5):
        KeyGroup.objects.create(
            name=f"g{number}", key_spec="P-256", credential=group.credential, vault=group.vault, azure_name=f"g{number}"
        )
    with django_assert_max_num_queries(12):
        page_of(client, group)


def test_a_vault_of_many_groups_has_pages_and_those_that_azure_rotates_come_first(group, client, people):
    many = [
        KeyGroup(name=f"many-{number:02}", azure_name=f"many-{number:02}", key_spec="P-256", usage=["sign"])
        for number in range(30)
    ]
    for each in many:
        each.vault, each.credential = group.vault, group.credential
    KeyGroup.objects.bulk_create(many)
    read(many[29], rotation=NOTIFY | {"rotate_after_create": "P90D"})
    client.force_login(people["auditor"])
    url = f"/keys/vaults/{group.vault_id}/"
    first, second = client.get(url).content.decode(), client.get(f"{url}?page=2").content.decode()
    assert first.count("<h3 ") + second.count("<h3 ") == 31
    assert first.index("many-29") < first.index("many-00")
    for page in (first, second):
        assert "Azure rotates 1 key of this vault by itself" in page
