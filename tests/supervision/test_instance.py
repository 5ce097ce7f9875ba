"""What is looked at before anything starts, and the sentences that say what is wrong."""

from __future__ import annotations

import socket

import pytest

from kmes.supervision.instance import Instance, StartError
from tests.services import free_port


def an_instance(folder, **environment):
    return Instance.from_environment({"KMES_STATE_DIR": str(folder), **environment})


def test_defaults_are_the_published_ports():
    instance = Instance.from_environment({})
    assert (instance.web_port, instance.redis_port, instance.stand_in_port) == (8000, 6390, 8443)
    assert instance.stand_in_url == "https://127.0.0.1:8443"
    assert instance.state_dir.name == "var"


@pytest.mark.parametrize("text", ["", "0"])
def test_an_empty_port_means_the_default_but_zero_is_refused(text):
    if not text:
        assert Instance.from_environment({"KMES_PORT": text}).web_port == 8000
    else:
        with pytest.raises(StartError, match="KMES_PORT must be a port number"):
            Instance.from_environment({"KMES_PORT": text})


@pytest.mark.parametrize("text", ["eight", "-1", "65536", "80.5"])
def test_a_port_that_is_none_is_named(text):
    with pytest.raises(StartError, match=f"KMES_REDIS_PORT must be a port number, not '{text}'"):
        Instance.from_environment({"KMES_REDIS_PORT": text})


def test_the_stand_in_needs_two_more_ports_above_its_own():
    with pytest.raises(StartError, match="AZURE_EMULATOR_PORT"):
        Instance.from_environment({"AZURE_EMULATOR_PORT": "65535"})


def test_a_redis_of_the_users_own_replaces_ours():
    assert "redis" in Instance.from_environment({"KMES_REDIS_URL": "redis://10.0.0.1/0"}).without


def test_the_stand_in_can_be_left_out():
    instance = Instance.from_environment({"KMES_AZURE_STAND_IN": "0"})
    assert "emulator" in instance.without
    assert instance.stand_in_url == ""


@pytest.mark.parametrize(
    ("variable", "offset"),
    [("KMES_PORT", 0), ("KMES_REDIS_PORT", 0), ("AZURE_EMULATOR_PORT", 0), ("AZURE_EMULATOR_PORT", 2)],
)
def test_a_port_in_use_is_named_with_the_variable_to_change(tmp_path, variable, offset):
    names = {"KMES_PORT": 1, "KMES_REDIS_PORT": 1, "AZURE_EMULATOR_PORT": 3}
    ports = {name: free_port(count) for name, count in names.items()}
    instance = an_instance(tmp_path, **{name: str(port) for name, port in ports.items()})
    taken = ports[variable] + offset
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        holder.listen()
        with pytest.raises(StartError, match=f"Port {taken} is already in use: set {variable} to another one"):
            instance.check_ports()
    instance.check_ports()


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"can't be written .*KMES_STATE_DIR"):
        an_instance(tmp_path / "file" / "state").make_folders()


def test_the_state_folder_is_for_its_owner_only(tmp_path):
    an_instance(tmp_path / "state").make_folders()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_second_instance_on_the_same_state_is_refused(tmp_path):
    instance = an_instance(tmp_path)
    instance.make_folders()
    with instance.lock(), pytest.raises(StartError, match="Another instance already runs"):
        instance.lock()
    instance.lock().close()


def test_a_missing_redis_is_said_with_the_line_that_installs_it(tmp_path):
    with pytest.raises(StartError, match="apt-get install -y redis-server"):
        an_instance(tmp_path, PATH=str(tmp_path)).check_programs()
