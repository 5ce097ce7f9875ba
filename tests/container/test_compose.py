"""docker-compose.yml against the Compose schema, and each of its commands against the code.

There is no container engine here: what can go wrong in the file is looked for without one.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import yaml
from django.core.management import get_commands
from django.urls import resolve
from gunicorn.config import Config

from azure_emulator.options import parse_options
from kmes.operations.database_rights import PROCESSES
from kmes.operations.database_roles import OWNER
from kmes.supervision import container, front, prepare
from kmes.supervision.instance import Instance
from kmes.supervision.processes import process_specs

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
THEIRS = {name: service for name, service in SERVICES.items() if name not in OURS}
# What may hold the device's PIN and token, and nobody else.
NEAR_THE_DEVICE = {"worker", "device", "manage"}
# What acts as the owner of the tables.
OPERATORS = {"migrate", "device", "manage"}


def filled_in(text):
    """What Compose makes of a text without any variable: each has its default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


def words(service):
    command = service["command"]
    return shlex.split(command) if isinstance(command, str) else list(command)


def health_of(service):
    return service.get("healthcheck", {}).get("test", [])


def mounts(service):
    """(volume, place, is read-only) of each mount."""
    found = []
    for text in service.get("volumes", []):
        volume, place, *mode = filled_in(text).split(":")
        found.append((volume, place, mode == ["ro"]))
    return found


def test_the_file_follows_the_compose_schema():
    tool = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_parts_are_there():
    assert {"front", "web", "worker", "beat", "reports", "redis", "postgres", "device", "stand-in"} <= SERVICES.keys()
    assert SERVICES["device"]["profiles"] == ["software-device"]
    assert SERVICES["stand-in"]["profiles"] == ["stand-in"]
    assert len({service["image"] for service in OURS.values()}) == 1


# --- Commands --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_is_one_that_the_code_has(name):
    program, *rest = words(OURS[name])
    if program == "gunicorn":
        assert rest[0] == "kmes.wsgi"
        assert importlib.util.find_spec(rest[0]) is not None
    elif program == "celery":
        assert rest[rest.index("-A") + 1] == "kmes.celery"
        assert {"worker", "beat"} & set(rest)
    elif rest[0] == "manage.py":
        assert program == "python"
        assert rest[1] in get_commands()
    else:
        assert (program, rest[0]) == ("python", "-m")
        assert importlib.util.find_spec(rest[1]) is not None


@pytest.mark.parametrize(("service", "own"), [("web", "web"), ("worker", "worker"), ("beat", "beat")])
def test_a_container_runs_what_a_machine_runs(service, own, tmp_path):
    """The same options but for ports, paths and the number of processes."""
    instance = Instance.from_environment({"KMES_STATE_DIR": str(tmp_path)})
    spec = next(spec for spec in process_specs(instance) if spec.name == own)
    here = {word for word in spec.command if word.startswith("--")}
    there = {word for word in words(OURS[service]) if word.startswith("--")}
    assert here - there <= {"--log-level"}
    assert there - here <= {"--worker-tmp-dir"}


def test_the_command_lines_of_gunicorn_and_celery_parse():
    Config().parser().parse_args(words(OURS["web"])[1:])
    celery = Path(sys.executable).with_name("celery")
    for name in ("worker", "beat"):
        # --help at the end: each option before it has been looked at, and nothing starts.
        command = [celery, *words(OURS[name])[1:], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr


def test_the_stand_ins_command_line_parses():
    options = parse_options(words(OURS["stand-in"])[3:], {})
    assert options.port == container.STAND_IN_PORT
    assert options.extra_names == ("stand-in",)
    assert str(options.state_dir) in {place for _, place, _ in mounts(OURS["stand-in"])}


def test_the_preparation_is_asked_for_steps_that_it_has():
    for name in ("migrate", "device"):
        assert set(words(OURS[name])[3:]) <= prepare.STEPS.keys()
    assert set(words(OURS["migrate"])[3:]) | set(words(OURS["device"])[3:]) == prepare.STEPS.keys()


def test_only_the_cloud_queue_reaches_the_worker_and_only_reports_the_report_worker():
    worker = words(OURS["worker"])
    assert worker[worker.index("-Q") + 1] == "cloud"
    assert words(OURS["reports"])[-3:] == ["reports", "--verbosity", "0"]


# --- Health ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_runs_on_has_a_health_check_and_what_ends_has_none(name):
    service = SERVICES[name]
    if service["restart"] == "no":
        assert service["healthcheck"] == {"disable": True}
    else:
        assert health_of(service)[0] == "CMD"


@pytest.fixture
def silent_redis(redis_server):
    """A Redis in which nobody has said a word; other tests' words may still lie there."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.mark.parametrize("name", [name for name in sorted(OURS) if health_of(OURS[name])])
def test_each_health_check_asks_for_its_own_service(name, silent_redis):
    assert health_of(OURS[name])[1:] == ["python", "-m", "kmes.supervision.container", "health", name]
    assert words(OURS["web"])[words(OURS["web"]).index("--bind") + 1].endswith(f":{container.WEB_PORT}")
    assert resolve("/healthz").view_name
    try:
        healthy = container.is_healthy(name, {"KMES_REDIS_URL": silent_redis})
    except OSError:
        healthy = False
    # An answer and no error; yes only where a console of this machine's user runs on the usual port.
    assert healthy in ({True, False} if name in {"web", "stand-in"} else {False})


def test_the_health_check_knows_a_living_worker_beat_and_report_worker(redis_server):
    environment = {"KMES_REDIS_URL": redis_server}
    client = redis.Redis.from_url(redis_server)
    try:
        client.set("kmes:heartbeat:worker:here", "{}", ex=60)
        client.set("kmes:heartbeat:beat", "{}", ex=60)
        client.sadd("rq:workers:reports", "rq:worker:one")
        for name in ("worker", "beat", "reports"):
            assert container.is_healthy(name, environment), name
    finally:
        client.delete("kmes:heartbeat:worker:here", "kmes:heartbeat:beat", "rq:workers:reports")
        client.close()


def test_an_unknown_health_check_is_refused(capsys):
    assert container.main(["health", "nobody"]) != 0
    assert container.main([]) != 0


# --- Safety ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_non_root_read_only_and_without_privileges(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name in THEIRS:
        assert service["user"] not in {"root", "0"}


def test_only_worker_and_device_reach_the_token_and_its_pin():
    near = {name for name, service in SERVICES.items() if "device" in {volume for volume, _, _ in mounts(service)}}
    assert near == NEAR_THE_DEVICE
    for name, service in OURS.items():
        pin = service["environment"].get("KMES_HSM_PIN_FILE", "/nonexistent/") if "environment" in service else ""
        assert pin.startswith("/nonexistent/") == (name not in NEAR_THE_DEVICE) or not pin


def test_secrets_come_by_file_and_never_by_value():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|PIN|TOKEN", name):
                assert name.endswith(("_FILE", "_DIR")), name
                assert value.startswith("/") or value == "", name
            if name.endswith("_URL") and "@" in str(value):
                assert re.fullmatch(r"\w+://\w+@[\w.-]+:\d+/\w+", value), name


def test_each_process_signs_in_to_the_database_as_itself():
    """The superuser's password is with the server and the one that makes the roles."""
    for name, service in OURS.items():
        url = service.get("environment", {}).get("DATABASE_URL", "")
        own = {volume for volume, _, _ in mounts(service) if volume.startswith("database")}
        if name in ("web", "worker", "reports"):
            assert (url, own) == (f"postgres://kmes_{name}@postgres:5432/kmes", {f"database-{name}"})
        elif name in OPERATORS:
            assert (url, own) == ("postgres://kmes_owner@postgres:5432/kmes", {"database-owner"})
        elif name not in {"secrets", "database-roles"}:
            assert (url, own) == ("", set())
    assert {
        name for name, service in SERVICES.items() if "database-secret" in {volume for volume, _, _ in mounts(service)}
    } == {*("secrets", "database-roles", "postgres")}
    roles = words(OURS["database-roles"])
    made = {
        place.removeprefix(f"{roles[-1]}/") for _, place, is_fixed in mounts(OURS["database-roles"]) if not is_fixed
    }
    assert made == {*PROCESSES, OWNER}


def test_only_web_and_reports_have_the_key_that_signs_sessions():
    near = {name for name, service in OURS.items() if "secrets" in {volume for volume, _, _ in mounts(service)}}
    assert near == {"web", "reports", "secrets", "manage"}


def test_only_the_front_is_published_and_only_to_this_machine_by_default():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"front"}
    assert [filled_in(port) for port in published["front"]] == ["127.0.0.1:8443:8443"]


def test_nothing_but_worker_reports_and_front_reaches_another_network():
    outward = {name for name, how in COMPOSE["networks"].items() if not (how or {}).get("internal")}
    reaching = {name: outward & set(service.get("networks", [])) for name, service in SERVICES.items()}
    assert {name: nets for name, nets in reaching.items() if nets} == {
        "front": {"edge"},
        "worker": {"cloud"},
        "reports": {"notices"},
    }
    assert all("networks" in service or service["network_mode"] == "none" for service in SERVICES.values())


def test_the_front_reaches_pages_only_and_the_stores_nothing_but_their_users():
    assert {name for name, service in SERVICES.items() if "pages" in service.get("networks", [])} == {"front", "web"}
    assert {name for name, service in SERVICES.items() if "trial" in service.get("networks", [])} == {
        "worker",
        "stand-in",
    }
    for name in ("redis", "postgres", "beat"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_tls_is_on_unless_somebody_switches_it_off():
    given = {name: filled_in(value) for name, value in OURS["web"]["environment"].items()}
    assert (given["KMES_INSECURE_HTTP"], given["KMES_BEHIND_TLS_PROXY"], given["KMES_TRUSTED_PROXIES"]) == (
        "0",
        "1",
        "1",
    )
    assert given["KMES_ALLOW_CUSTOM_ENDPOINTS"] == "0"


def test_the_first_passwords_are_handed_over_in_files_that_no_process_reads():
    assert OURS["migrate"]["environment"]["KMES_FIRST_PASSWORDS_DIR"] == "/var/lib/kmes/first-passwords"
    near = {
        name for name, service in SERVICES.items() if "first-passwords" in {volume for volume, _, _ in mounts(service)}
    }
    assert near == {"migrate", "manage"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_limits(name):
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 200
    assert service["ulimits"] == {"core": 0}
    sized = [place for place in service["tmpfs"] if place.startswith("/tmp:")]
    assert sized
    assert all(word in sized[0] for word in ("size=", "noexec", "nosuid", "nodev"))


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_images_of_others_are_named_by_their_whole_version_or_as_the_installation_says(name):
    """No digest is known here: docs/deployment.md says how an installation adds them."""
    assert re.fullmatch(r"\$\{KMES_\w+_IMAGE:-\w+:\d+\.\d+(\.\d+)?-bookworm\}", THEIRS[name]["image"])


def test_the_fronts_configuration_lies_where_it_is_looked_for():
    command = THEIRS["front"]["entrypoint"]
    places = {volume: place for volume, place, _ in mounts(THEIRS["front"])}
    assert command == ["sh", f"{places['front']}/{front.START}", f"{places['front']}/{front.CONFIGURATION}"]
    assert places["certificate"] == container.FRONT_CERTIFICATE
    assert {(volume, place) for volume, place, _ in mounts(OURS["secrets"])} >= set(places.items())
    assert health_of(THEIRS["front"])[-1].startswith(f"https://127.0.0.1:{front.HTTPS_PORT}/")
    # It reads the certificate's key, which belongs to the user of our image.
    assert THEIRS["front"]["user"] == "10001:10001"


# --- Wiring ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_waits_for_what_exists(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"
        else:
            assert health_of(SERVICES[other])
        if "profiles" in SERVICES[other] and "profiles" not in SERVICES[name]:
            # Without its profile it does not exist, and must not be waited for.
            assert how["required"] is False


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_mounted_volume_is_declared(name):
    for volume, _, _ in mounts(SERVICES[name]):
        assert volume in COMPOSE["volumes"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_path_in_the_environment_lies_in_a_volume_of_the_service(name):
    places = [place for _, place, _ in mounts(OURS[name])]
    for variable, value in OURS[name].get("environment", {}).items():
        path = filled_in(value)
        if path.startswith("/") and not path.startswith(("/nonexistent/", "/usr/lib/")):
            # In a volume, or a folder that has volumes below it.
            assert any(f"{path}/".startswith(f"{place}/") or place.startswith(f"{path}/") for place in places), variable


def test_each_process_reads_its_own_request_key_and_writes_none():
    for name, service in OURS.items():
        keys = {volume: mode for volume, _, mode in mounts(service) if volume.startswith("request-")}
        if name in {"web", "worker"}:
            assert keys == {f"request-key-{name}": True, "request-signers": True}
        elif name == "manage":
            assert keys == {"request-key-web": True, "request-key-worker": True, "request-signers": True}
        elif name == "secrets":
            assert keys == {"request-key-web": False, "request-key-worker": False, "request-signers": False}
        else:
            assert keys == {}


def test_only_the_web_process_reads_the_key_of_second_factors():
    mounted = {
        name: mode for name, service in OURS.items() for volume, _, mode in mounts(service) if volume == "second-factor"
    }
    assert mounted == {"web": True, "secrets": False}


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_variable_is_one_that_the_code_reads(name):
    sources = [ROOT / "kmes" / "settings.py", *(ROOT / "kmes" / "supervision").glob("*.py")]
    sources.append(ROOT / "kmes" / "accounts" / "management" / "commands" / "create_admins.py")
    text = "\n".join(path.read_text() for path in sources)
    for variable in OURS[name].get("environment", {}):
        assert f'"{variable}"' in text, variable
