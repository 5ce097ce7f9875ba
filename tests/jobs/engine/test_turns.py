"""A long job returns to the queue when others wait for its worker."""

from __future__ import annotations

import pytest

from jobs.kinds.synchronize.spec import request_synchronize
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_a_long_job_lets_others_have_their_turn_and_goes_on_after(group, credential, admin, azure_stand_in, settings):

    settings.KMES_TURN_SECONDS = 0
    keys = make_keys(group, "one", "two", "three", actor=admin)
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    (urgent,) = make_keys(other, "urgent", actor=admin)
    long = request_synchronize(keys=keys, actor=admin)
    short = request_synchronize(keys=[urgent], actor=admin)
    assert work(long).state == "queued"
    assert "next turn" in long.waiting_for
    assert work(short).state == "succeeded"
    assert work(long).state == "succeeded"
    assert long.targets.filter(state="done").count() == 3
