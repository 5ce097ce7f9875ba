"""A refusal speaks its reader's language; what is kept of it is English; no lazy text travels."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceResponseError
from django.utils import translation
from django.utils.translation import gettext_lazy

from cloudcreds.azure.answers import Answer, AskedService, RedirectedAnswer, SignInPlace, judge
from cloudcreds.azure.errors import translate
from hsm.pin import read_pin
from kmes.core.actor import SYSTEM, Actor
from kmes.core.errors import DeviceError, KmesError
from kmes.core.options import OPTIONS
from kmes.operations.services import choose_options
from logging_reports.models import LogEntry
from logging_reports.services import record
from tests.translations import marked, speak

__all__ = ["speak"]
REDIRECT = "The answer pointed to another address, which is never followed."
BROKE = "%(subject)s could not be read: %(why)s"
EXPIRED = "The client secret has expired (%(code)s)."
NO_PIN = "The PIN file %(path)s can't be read: %(reason)s."
CURE = "Set KMES_HSM_PIN_FILE to a file that holds the token's user PIN and is readable for the worker only."


def test_an_error_of_azure_comes_out_in_the_reader_s_language(speak):
    redirect = Answer("GET", "https://kv.vault.azure.net/keys/k", 302, {}, b"")
    with speak(REDIRECT, BROKE, EXPIRED):
        with pytest.raises(RedirectedAnswer) as refused:
            judge(AskedService.VAULT, redirect, SignInPlace(frozenset(), "", ""))
        broke = translate(ServiceResponseError("lost"), mutating=False, subject="kv-prod")
        expired = translate(ClientAuthenticationError("AADSTS7000222: it is over"), mutating=False)
    assert refused.value.what == marked(REDIRECT)
    assert broke.what == marked("kv-prod could not be read: the answer can't be used.")
    assert expired.what == marked("The client secret has expired (AADSTS7000222).")


def test_an_error_of_the_device_comes_out_in_the_reader_s_language(speak, tmp_path):
    with speak(NO_PIN, CURE), pytest.raises(DeviceError) as caught:
        read_pin(tmp_path / "pin")
    assert caught.value.what == marked(f"The PIN file {tmp_path / 'pin'} can't be read: No such file or directory.")
    assert caught.value.remedy == marked(CURE)


def test_an_error_settles_the_lazy_texts_it_is_given(speak):
    lazy = gettext_lazy("Nothing was restored.")
    with speak("Nothing was restored."):
        error = KmesError(lazy, lazy)  # type: ignore[arg-type]
    assert [type(text) for text in (error.what, error.remedy, error.args[0])] == [str, str, str]
    # It says what it said when it was raised, whoever reads it later.
    assert str(error) == f"{marked('Nothing was restored.')} {marked('Nothing was restored.')}"


@pytest.mark.django_db
def test_a_row_of_the_log_is_english_whoever_causes_it(speak):
    with speak("Signed in"):
        assert translation.gettext("Signed in") == marked("Signed in")
        row = record("access.login", actor=SYSTEM)
    assert row.message == "Signed in"


@pytest.mark.django_db
def test_a_label_in_a_row_of_the_log_is_english_too(speak, admin_actor):
    name, option = next((name, option) for name, option in OPTIONS.items() if not option.is_locked)
    with speak(str(option.label)):
        choose_options(values={name: option.lowest}, actor=admin_actor)
    row = LogEntry.objects.get(event="configuration.changed")
    assert row.message.startswith(f"{option.label}: ")


@pytest.fixture
def admin_actor(django_user_model):
    return Actor.from_user(django_user_model.objects.create_user("ada", role="admin"))
