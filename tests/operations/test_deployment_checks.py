"""``manage.py check --deploy`` says what an installation lacks for production, each with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.checks import ERROR, run_checks
from django.db import connection

from kmes.core.actor import SYSTEM
from kmes.operations import deployment_checks
from kmes.operations.deployment_checks import TAG
from logging_reports.services import record
from tests.database_processes import acting_as
from tests.operations.installation import Installation

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
# What an installation has that lacks nothing but a database with roles.
PRODUCTION = {
    "DEBUG": False,
    "KMES_INSECURE_HTTP": False,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "ALLOWED_HOSTS": ["console.example.com"],
    "KMES_PUBLIC_URL": "https://console.example.com",
    "KMES_REDIS_URL": "rediss://web:secret@redis:6379/0",
    "KMES_ALLOW_CUSTOM_ENDPOINTS": False,
    "KMES_STAND_IN_URL": "",
    "KMES_HSM_MODULE": "/opt/hsm/libpkcs11.so",
    "KMES_WEBHOOK_ALLOW_HTTP": False,
    "EMAIL_HOST": "mail.example.com",
    "EMAIL_USE_TLS": True,
    "KMES_TIMESTAMP_URL": "https://tsa.example.com",
}


@pytest.fixture
def production(settings, tmp_path, monkeypatch):
    """Such an installation; returns what is said of it."""
    for name, value in PRODUCTION.items():
        setattr(settings, name, value)
    settings.KMES_STATE_DIR = tmp_path
    for name in ("KMES_HSM_PIN_FILE", "KMES_SECRET_KEY_FILE"):
        path = tmp_path / name
        path.touch(mode=0o600)
        setattr(settings, name, path)
    monkeypatch.delenv("KMES_ADMIN_PASSWORD", raising=False)
    monkeypatch.delenv("KMES_FIRST_PASSWORDS_DIR", raising=False)
    record("backup.made", actor=SYSTEM, message="Backup made")
    return settings


def said():
    """Each message by its id; those of the database depend on what the tests run on."""
    return {message.id: message for message in run_checks(tags=[TAG], include_deployment_checks=True)}


ABOUT_THE_DATABASE = {"kmes.W006", "kmes.E008", "kmes.I001"}


def test_of_an_installation_that_lacks_nothing_nothing_is_said(production):
    assert said().keys() <= ABOUT_THE_DATABASE


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        ("kmes.E001", {"DEBUG": True}),
        ("kmes.E002", {"KMES_INSECURE_HTTP": True}),
        ("kmes.E003", {"ALLOWED_HOSTS": ["*"]}),
        ("kmes.E009", {"KMES_REDIS_URL": "rediss://redis:6379/0"}),
        ("kmes.E010", {"KMES_ALLOW_CUSTOM_ENDPOINTS": True}),
        ("kmes.E010", {"KMES_STAND_IN_URL": "https://stand-in:8443"}),
        ("kmes.E011", {"KMES_WEBHOOK_ALLOW_HTTP": True}),
        ("kmes.W002", {"SECURE_PROXY_SSL_HEADER": None}),
        ("kmes.W003", {"ALLOWED_HOSTS": ["127.0.0.1", "localhost"]}),
        ("kmes.W004", {"KMES_PUBLIC_URL": ""}),
        ("kmes.W008", {"KMES_REDIS_URL": "rediss://:secret@redis:6379/0"}),
        ("kmes.W009", {"KMES_HSM_MODULE": ""}),
        ("kmes.W009", {"KMES_HSM_MODULE": "/usr/lib/softhsm/libsofthsm2.so"}),
        ("kmes.W010", {"EMAIL_USE_TLS": False}),
        ("kmes.W011", {"KMES_TIMESTAMP_URL": ""}),
        ("kmes.I002", {"KMES_REDIS_URL": "redis://web:secret@redis:6379/0"}),
    ],
)
def test_what_a_setting_leaves_open_is_named_with_what_to_do(production, found, changes):
    for name, value in changes.items():
        setattr(production, name, value)
    messages = said()
    assert messages.keys() - ABOUT_THE_DATABASE == {found}
    assert messages[found].hint


@pytest.mark.parametrize(
    ("setting", "mode", "found"),
    [("KMES_HSM_PIN_FILE", 0o640, "kmes.E004"), ("KMES_SECRET_KEY_FILE", 0o644, "kmes.E005")],
)
def test_a_secret_that_lies_open_is_named(production, setting, mode, found):
    path = getattr(production, setting)
    path.chmod(mode)
    assert str(path) in said()[found].msg


def test_a_password_in_the_environment_is_named(production, monkeypatch):
    monkeypatch.setenv("KMES_ADMIN_PASSWORD", "for development")
    assert "for development" not in said()["kmes.E006"].msg


def test_first_passwords_that_nobody_removed_are_named(production, monkeypatch, tmp_path):
    (tmp_path / "handed").mkdir()
    monkeypatch.setenv("KMES_FIRST_PASSWORDS_DIR", str(tmp_path / "handed"))
    assert "kmes.W005" not in said()
    (tmp_path / "handed" / "admin2").write_text("the password")
    assert "admin2" in said()["kmes.W005"].msg
    assert "the password" not in said()["kmes.W005"].msg


def test_a_week_without_a_backup_is_named(production, monkeypatch):
    monkeypatch.setattr(deployment_checks, "BACKUP_EVERY", -deployment_checks.BACKUP_EVERY)
    assert "kmes.W012" in said()


def test_the_database_is_looked_at(production):
    messages = said()
    if connection.vendor == "sqlite":
        assert "each change every row" in messages["kmes.W006"].msg
        return
    # The tests' own server: one superuser owns the tables.
    assert "kmes, a superuser" in messages["kmes.E008"].msg
    with acting_as("web"):
        assert not {"kmes.E007", "kmes.E008"} & said().keys()


def test_a_postgresql_elsewhere_is_reached_in_clear_or_not_at_all(tmp_path):
    there = Installation(tmp_path, database_url="postgres://kmes_owner@127.0.0.2:1/kmes")
    found = there.manage("check", "--deploy", "--tag", TAG, check=False).stderr
    assert "kmes.I001" in found
    assert "kmes.W007" in found
    verified = "postgres://kmes_owner@127.0.0.2:1/kmes?sslmode=verify-full"
    assert "kmes.I001" not in there.run("manage.py", "check", "--deploy", check=False, DATABASE_URL=verified).stderr


def test_the_ids_are_those_of_the_documentation():
    text = (ROOT / "kmes" / "operations" / "deployment_checks.py").read_text()
    page = (ROOT / "docs" / "deployment.md").read_text()
    documented = re.findall(r"^\| `(kmes\.[EWI]\d{3})` \|", page, re.MULTILINE)
    assert documented == sorted(set(documented))
    assert set(documented) == {*re.findall(r'id="(kmes\.[EWI]\d{3})"', text), "kmes.W001"}


def test_errors_are_errors(production):
    production.DEBUG = True
    assert said()["kmes.E001"].level == ERROR
