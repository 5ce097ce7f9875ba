"""Signing in: logged, locked after failures, never led to another host; first administrators once."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from logging_reports.models import LogEntry

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
URL = "/login/"


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")


def sign_in(client, password=PASSWORD, name="ada", **more):
    return client.post(URL, {"username": name, "password": password, **more})


def events():
    return list(LogEntry.objects.filter(service="audit").order_by("sequence").values_list("event", "actor_name"))


def test_a_right_password_leads_to_the_dashboard_and_is_logged(client, ada):
    answer = sign_in(client)
    assert (answer.status_code, answer.url) == (302, reverse("dashboard:home"))
    assert events() == [("access.login", "ada")]


def test_a_wrong_password_is_refused_and_logged_without_the_password(client, ada):
    answer = sign_in(client, "wrong password")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert "wrong password" not in answer.content.decode()
    (row,) = LogEntry.objects.filter(service="audit")
    assert row.event == "access.login_failed"
    assert "wrong password" not in f"{row.message}{row.data}"


def test_after_five_failures_the_door_stays_shut_for_the_right_password_too(client, ada):
    for _try in range(5):
        sign_in(client, "wrong")
    answer = sign_in(client)
    assert answer.status_code == 429
    assert "15 minutes" in answer.content.decode()


def test_another_address_is_not_locked_out_by_a_stranger(client, ada):
    for _try in range(6):
        client.post(URL, {"username": "ada", "password": "wrong"}, REMOTE_ADDR="203.0.113.9")
    assert sign_in(client).status_code == 302


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_led_to_another_host(target, client, ada):
    assert sign_in(client, next=target).url == reverse("dashboard:home")


def test_the_page_that_was_asked_for_comes_after_signing_in(client, ada):
    assert client.get("/jobs/?show=mine").url == "/login/?next=/jobs/%3Fshow%3Dmine"
    assert sign_in(client, next="/jobs/?show=mine").url == "/jobs/?show=mine"


def test_signing_out_takes_a_post_and_is_logged(client, ada):
    client.force_login(ada)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/").status_code == 302
    assert events()[-1] == ("access.logout", "ada")


def test_a_user_who_was_switched_off_gets_nowhere(client, ada):
    client.force_login(ada)
    ada.is_active = False
    ada.save()
    assert client.get("/").status_code == 302


def test_the_first_administrators_are_made_once_and_their_passwords_shown_once(django_user_model, monkeypatch):
    monkeypatch.delenv("KMES_ADMIN_PASSWORD", raising=False)
    out = StringIO()
    call_command("create_admins", stdout=out)
    heading, *rest = out.getvalue().splitlines()
    assert heading == "First passwords, each for one sign-in:"
    lines = [line.split() for line in rest]
    assert [line[0] for line in lines] == ["admin1", "admin2"]
    for name, password in lines:
        assert len(password) >= 16
        assert django_user_model.objects.get(username=name).check_password(password)
        assert django_user_model.objects.get(username=name).must_change_password
    again = StringIO()
    call_command("create_admins", stdout=again)
    assert again.getvalue() == ""
    assert django_user_model.objects.count() == 2


def test_with_a_folder_for_them_the_first_passwords_lie_in_a_file_for_each_person(
    django_user_model, monkeypatch, tmp_path, client
):
    monkeypatch.delenv("KMES_ADMIN_PASSWORD", raising=False)
    monkeypatch.setenv("KMES_FIRST_PASSWORDS_DIR", str(tmp_path / "handed"))
    out = StringIO()
    call_command("create_admins", stdout=out)
    passwords = {path.name: path.read_text().strip() for path in (tmp_path / "handed").iterdir()}
    assert passwords.keys() == {"admin1", "admin2"}
    for name, password in passwords.items():
        path = tmp_path / "handed" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert str(path) in out.getvalue()
        assert password not in out.getvalue()
        assert django_user_model.objects.get(username=name).check_password(password)
    client.force_login(django_user_model.objects.get(username="admin1"))
    # Only the page that replaces the password opens.
    assert client.get("/keys/").headers["Location"] == reverse("accounts:own_password")


def test_without_a_place_for_the_first_passwords_no_administrator_is_made(django_user_model, monkeypatch, tmp_path):
    monkeypatch.delenv("KMES_ADMIN_PASSWORD", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KMES_FIRST_PASSWORDS_DIR", str(tmp_path / "file"))
    with pytest.raises(CommandError, match="No administrator was made"):
        call_command("create_admins", stdout=StringIO())
    assert not django_user_model.objects.exists()


def test_a_password_for_development_is_neither_one_time_nor_written(django_user_model, monkeypatch, tmp_path):
    monkeypatch.setenv("KMES_ADMIN_PASSWORD", "for development only")
    monkeypatch.setenv("KMES_FIRST_PASSWORDS_DIR", str(tmp_path / "handed"))
    call_command("create_admins", stdout=StringIO())
    assert not (tmp_path / "handed").exists()
    assert not django_user_model.objects.get(username="admin1").must_change_password
