"""Who is told what: each process gets only the environment it needs."""

from __future__ import annotations

import pytest

from kmes.supervision.instance import Instance
from kmes.supervision.processes import NO_PIN_FILE, prepare_spec, process_specs

GIVEN = {
    "PATH": "/usr/bin",
    "KMES_HSM_PIN_FILE": "/secret/pin",
    "KMES_HSM_MODULE": "/usr/lib/hsm.so",
    "KMES_ADMIN_PASSWORD": "first password",
    "DATABASE_URL": "postgres://x",
    "AZURE_EMULATOR_LATENCY_MS": "50",
    "AWS_SECRET_ACCESS_KEY": "not ours",
}


def specs(tmp_path, **more):
    instance = Instance.from_environment({**GIVEN, "KMES_STATE_DIR": str(tmp_path), **more})
    return {spec.name: spec for spec in process_specs(instance)}


def test_the_six_processes_have_their_names_and_order(tmp_path):
    assert list(specs(tmp_path)) == ["redis", "emulator", "web", "worker", "beat", "reports"]


@pytest.mark.parametrize("name", ["redis", "emulator", "web", "beat", "reports"])
def test_only_the_worker_learns_where_the_pin_lies(tmp_path, name):
    environment = specs(tmp_path)[name].environment
    assert environment.get("KMES_HSM_PIN_FILE", NO_PIN_FILE) == NO_PIN_FILE
    assert "KMES_HSM_MODULE" not in environment
    assert specs(tmp_path)["worker"].environment["KMES_HSM_PIN_FILE"] == "/secret/pin"


def test_the_first_password_goes_to_the_preparation_only(tmp_path):
    instance = Instance.from_environment({**GIVEN, "KMES_STATE_DIR": str(tmp_path)})
    assert prepare_spec(instance).environment["KMES_ADMIN_PASSWORD"] == "first password"
    for spec in process_specs(instance):
        assert "KMES_ADMIN_PASSWORD" not in spec.environment


def test_only_the_report_worker_learns_where_the_mail_servers_password_lies(tmp_path):
    processes = specs(tmp_path, KMES_EMAIL_PASSWORD_FILE="/secret/mail", KMES_EMAIL_HOST="mail.example.com")
    told = {name for name, spec in processes.items() if "KMES_EMAIL_PASSWORD_FILE" in spec.environment}
    assert told == {"reports"}
    assert processes["web"].environment["KMES_EMAIL_HOST"] == "mail.example.com"


def test_nothing_foreign_is_handed_on_and_the_stand_in_learns_nothing_of_ours(tmp_path):
    for spec in specs(tmp_path).values():
        assert "AWS_SECRET_ACCESS_KEY" not in spec.environment
    stand_in = specs(tmp_path)["emulator"].environment
    assert stand_in["AZURE_EMULATOR_LATENCY_MS"] == "50"
    assert not {name for name in stand_in if name.startswith("KMES_")} - {"KMES_INSTANCE"}
    assert "DATABASE_URL" not in stand_in


def test_no_secret_stands_on_a_command_line(tmp_path):
    for spec in specs(tmp_path).values():
        line = " ".join(spec.command)
        assert "password" not in line.replace("--", "")
        assert "/secret/pin" not in line


def test_without_the_stand_in_only_azures_own_clouds_are_allowed(tmp_path):
    processes = specs(tmp_path, KMES_AZURE_STAND_IN="0")
    assert "emulator" not in processes
    assert "KMES_ALLOW_CUSTOM_ENDPOINTS" not in processes["worker"].environment


def test_each_process_knows_which_it_is(tmp_path):
    processes = specs(tmp_path)
    for name in ("web", "worker", "beat", "reports"):
        assert processes[name].environment["KMES_PROCESS"] == name
