"""Check Drift keeps what the vault shows beside what is known; repairs set it back, acceptance takes it over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.repair.spec import request_repair
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.planning import blockers
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.services import accept_drift
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry
from tests.jobs.builders import make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)
LATER = datetime(2031, 5, 1, tzinfo=UTC)


@pytest.fixture
def version(group, admin):
    """The only version in the vault, with a tag of people's."""
    KeyGroup.objects.filter(pk=group.pk).update(tags={"owner": "treasury"})
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded", job.error_what
    return key.cloud_versions.get()


@pytest.fixture
def check(group, admin):
    """Compare with the vault, as Check Drift does."""

    def compare():
        job = work(request_check_drift(group=group, actor=admin))
        assert (job.state, job.error_what) == ("succeeded", "")
        return job, KeyGroup.objects.get(pk=group.pk)

    return compare


@pytest.fixture
def repair(group, admin):
    """Set back all that differs."""

    def run():
        rows = list(group.observations.select_related("group__credential", "group__vault", "version__key"))
        return work(request_repair(observations=rows, actor=admin))

    return run


def change(vault, version, **changes):
    """What somebody else does to a version, in the portal say."""
    vault.client.update_key_properties("payments", version.azure_version, **changes)


def wanted_of(version):
    names = ("wanted_enabled", "wanted_expires_at", "wanted_not_before", "operations", "tags")
    return [getattr(version, name) for name in names]


def flags_of(group):
    return {row.azure_version: sorted(row.flags) for row in group.observations.all()}


def test_what_was_just_pushed_does_not_differ(version, group, check):
    _job, compared = check()
    assert flags_of(group) == {version.azure_version: []}
    assert (compared.differences, compared.compared_at is not None) == (0, True)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"enabled": False}, "enabled"),
        ({"expires_on": LATER}, "expiry"),
        ({"not_before": LATER}, "not_before"),
        ({"key_operations": ["verify"]}, "operations"),
        ({"tags": {"owner": "somebody"}}, "tags"),
    ],
)
def test_each_attribute_is_compared_and_what_is_wanted_stays(version, group, check, vault, changes, flag):
    change(vault, version, **changes)
    job, compared = check()
    assert flags_of(group) == {version.azure_version: [flag]}
    assert compared.differences == 1
    assert any(version.azure_version in text for text in messages(job))
    wanted = wanted_of(version)
    version.refresh_from_db()
    assert wanted_of(version) == wanted
    assert version.differs
    # What is shown is what was seen.
    assert version.state == ("disabled" if flag == "enabled" else "active")
    seen = (version.enabled, version.expires_at, version.not_before)
    assert seen == (flag != "enabled", changes.get("expires_on"), changes.get("not_before"))


def test_a_repair_sets_all_back_and_leaves_no_difference(version, group, check, repair, vault):
    change(vault, version, enabled=False, not_before=LATER, key_operations=["verify"], tags={})
    check()
    version.refresh_from_db()
    assert version.state == "disabled"
    job = repair()
    assert (job.state, job.error_what) == ("succeeded", "")
    assert messages(job) == [
        "Repairing 1 HSM protected key(s)...",
        "Repaired HSM protected key one",
        "Successfully repaired 1 HSM protected key(s)",
    ]
    live = vault.client.get_key("payments", version.azure_version)
    assert live.properties.enabled is True
    assert sorted(str(operation) for operation in live.key_operations) == ["sign", "verify"]
    assert live.properties.tags["owner"] == "treasury"
    assert live.properties.tags["kmes-key"] == str(version.key_id)
    # A start can't be taken away; it is set to where it restricts nothing.
    assert live.properties.not_before <= live.properties.created_on
    assert KeyGroup.objects.get(pk=group.pk).differences == 0
    version.refresh_from_db()
    assert (version.state, version.differs) == ("active", False)
    check()
    assert flags_of(group) == {version.azure_version: []}


def test_what_azure_keeps_is_said_after_the_repair_and_can_be_accepted(version, group, check, repair, admin, vault):
    change(vault, version, enabled=False, expires_on=LATER)
    check()
    job = repair()
    assert job.state == "failed"
    (target,) = job.targets.all()
    assert "still differs: Expiry" in target.detail
    assert "can't take an expiry away" in target.detail
    assert not any("Repaired" in line for line in messages(job))
    assert vault.client.get_key("payments", version.azure_version).properties.enabled is True
    assert flags_of(group) == {version.azure_version: ["expiry"]}
    with pytest.raises(ConflictError, match="Nothing differs that can be set back"):
        repair()
    accept_drift(observation=group.observations.get(), actor=admin)
    assert check()[1].differences == 0
    change(vault, version, expires_on=LATER + timedelta(days=1))
    assert check()[1].differences == 1


def test_an_accepted_difference_becomes_what_is_known(version, group, check, admin, vault):
    change(vault, version, enabled=False, expires_on=LATER, key_operations=["verify"])
    check()
    accept_drift(observation=group.observations.get(), actor=admin)
    version.refresh_from_db()
    assert (version.state, version.enabled, version.expires_at) == ("disabled", False, LATER)
    assert version.operations == ["verify"]
    assert KeyGroup.objects.get(pk=group.pk).differences == 0
    assert LogEntry.objects.filter(event="key.drift_accepted").count() == 1
    _job, compared = check()
    assert compared.differences == 0


def test_a_version_of_somebody_else_can_be_left_or_disabled(version, group, check, repair, admin, vault):
    stranger = vault.client.create_ec_key("payments").properties.version
    check()
    assert flags_of(group) == {version.azure_version: [], stranger: ["unknown"]}
    job = repair()
    assert job.state == "succeeded"
    assert vault.client.get_key("payments", stranger).properties.enabled is False
    assert vault.client.get_key("payments", version.azure_version).properties.enabled is True
    accept_drift(observation=group.observations.get(azure_version=stranger), actor=admin)
    _job, compared = check()
    assert compared.differences == 0
    # It was accepted as it was then.
    vault.client.update_key_properties("payments", stranger, enabled=True)
    _job, compared = check()
    assert compared.differences == 1


def test_a_comparison_says_whose_version_is_current(version, group, check, admin, vault):
    stranger = vault.client.create_ec_key("payments").properties.version
    job, compared = check()
    said = f"The vault's current version is {stranger}, which was not made here"
    assert said in messages(job)
    assert LogEntry.objects.filter(event="azure.drift_found", message=said).exists()
    assert compared.current_version == stranger
    version.refresh_from_db()
    assert version.state == "superseded"
    # Disabled, it stays current: the vault does not fall back.
    vault.client.update_key_properties("payments", stranger, enabled=False)
    check()
    version.refresh_from_db()
    assert version.state == "superseded"
    job = work(request_rotation(group=KeyGroup.objects.get(pk=group.pk), actor=admin))
    assert job.state == "succeeded", job.error_what
    active = group.cloud_versions.get(state="active")
    assert KeyGroup.objects.get(pk=group.pk).current_version == active.azure_version != version.azure_version


def test_a_version_disabled_outside_is_disabled_for_the_menu_too(version, group, check, admin, vault):
    change(vault, version, enabled=False)
    check()
    key = Key.objects.get(pk=version.key_id)
    assert (blockers.why_not_enable(key), blockers.why_not_disable(key)) == ("", "Disabled already")
    job = work(request_set_enabled(version=key.cloud_versions.get(), enabled=True, actor=admin))
    assert job.state == "succeeded", job.error_what
    version.refresh_from_db()
    assert (version.state, version.differs) == ("active", False)
    assert KeyGroup.objects.get(pk=group.pk).differences == 0


def test_a_missing_version_is_recorded_and_can_be_pushed_again(version, group, check, admin, vault):
    CloudVersion.objects.filter(pk=version.pk).update(azure_version="f" * 32)
    _job, compared = check()
    assert compared.differences == 2
    assert flags_of(group)["f" * 32] == ["missing"]
    version.refresh_from_db()
    assert version.state == "missing"
    key = type(version.key).objects.select_related("group__vault", "group__credential").get(pk=version.key_id)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded", job.error_what
    check()
    assert "missing" not in str(flags_of(group))
    assert KeyGroup.objects.get(pk=group.pk).cloud_state == "live"


def test_unchanged_versions_are_not_read_one_by_one_again(version, group, check, azure_stand_in):
    check()
    # The second in which it was pushed is over.
    Observation.objects.filter(group=group).update(seen_at=now() + timedelta(seconds=10))
    asked = len(azure_stand_in.control("GET", "/_emulator/requests"))
    check()
    paths = [each["path"] for each in azure_stand_in.control("GET", "/_emulator/requests")[asked:]]
    assert any(path.endswith("/versions") for path in paths)
    assert not any(version.azure_version in path for path in paths)


def test_a_key_recovered_outside_the_console_is_known_as_live_again(version, group, check, admin, vault):
    work(request_cloud_delete(group=KeyGroup.objects.get(pk=group.pk), actor=admin))
    vault.client.begin_recover_deleted_key("payments").wait()
    _job, compared = check()
    assert (compared.cloud_state, compared.differences) == ("live", 0)
    version.refresh_from_db()
    assert version.state == "active"


def test_a_repair_asked_for_twice_is_refused_when_nothing_differs_any_more(version, group, check, repair, vault):
    change(vault, version, enabled=False)
    check()
    repair()
    with pytest.raises(ConflictError, match="Nothing differs"):
        repair()


def test_a_difference_is_kept_and_shown(group, admin, vault):

    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    vault.client.update_key_properties("payments", enabled=False)
    job = work(request_check_drift(group=group, actor=admin))
    group.refresh_from_db()
    assert group.differences == 1
    assert "disabled outside this console" in " ".join(job.messages.values_list("text", flat=True))
