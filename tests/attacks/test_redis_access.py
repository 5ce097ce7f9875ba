"""Redis is reached with a password, each process does its own work only, and TLS verifies whom it speaks to."""

from __future__ import annotations

import secrets
import stat

import pytest
import redis
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError

from kmes.celery import app, publish_beat_heartbeat
from kmes.core import redis_url
from kmes.core.redis_connection import connect
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.supervision import container
from kmes.supervision.instance import Instance
from kmes.supervision.processes import process_specs, write_redis_configuration
from kmes.supervision.redis_access import PROCESSES
from logging_reports.notices import queue as notice_queue
from tests import services
from tests.attacks.certificates import make_authority, make_certificate
from tests.container.volumes import make_volumes
from tests.logging_reports.report_running import run_reports


# --- The Redis of ``make run`` ---------------------------------------------------------------
def test_the_redis_of_this_machine_wants_a_password_of_each_process_that_only_its_user_can_read(tmp_path):
    port = services.free_port()
    instance = Instance.from_environment({"KMES_STATE_DIR": str(tmp_path), "KMES_REDIS_PORT": str(port)})
    instance.make_folders()
    write_redis_configuration(instance)
    files = [tmp_path / "redis" / "password", tmp_path / "redis" / "redis.conf"]
    files += [tmp_path / "redis" / f"{name}.password" for name in PROCESSES]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert len({path.read_text() for path in files}) == len(files)
    password = files[0].read_text()
    write_redis_configuration(instance)
    assert files[0].read_text() == password
    with services.running_redis_of(files[1], port):
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(redis_url.complete(f"redis://127.0.0.1:{port}/0", password=password)) as own:
            assert own.ping()
        given = process_specs(instance)
        for name in PROCESSES:
            (environment,) = [spec.environment for spec in given if spec.name == name]
            word = redis_url.read_password(environment["KMES_REDIS_PASSWORD_FILE"])
            url = redis_url.complete(environment["KMES_REDIS_URL"], password=word)
            with redis.Redis.from_url(url) as client:
                assert client.ping()
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.flushall()


# --- The accounts of docker-compose.yml ------------------------------------------------------
@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    """A Redis with the accounts that the container's one-shot makes; yields the address of each process."""
    folder, port = tmp_path_factory.mktemp("accounts"), services.free_port()
    environment = make_volumes(folder)
    words = folder / "kmes-redis-passwords"
    accounts_file = folder / "kmes-redis-accounts" / "users.acl"
    container.make_secrets(environment, volumes=folder)
    before = {name: (words / name / "password").read_text() for name in PROCESSES}
    container.make_secrets(environment, volumes=folder)
    assert {name: (words / name / "password").read_text() for name in PROCESSES} == before
    with services.running_redis(folder, port, "--aclfile", str(accounts_file)):
        yield {
            name: redis_url.complete(f"redis://{name}@127.0.0.1:{port}/0", password=word)
            for name, word in before.items()
        }


def send_hint(url: str) -> None:
    with Connection(url, transport=settings.CELERY_BROKER_TRANSPORT) as connection:
        app.send_task("jobs.tasks.scan_jobs", connection=connection, retry=False)


def take_hint(url: str) -> str:
    with Connection(url, transport=settings.CELERY_BROKER_TRANSPORT) as connection:
        message = connection.SimpleQueue("cloud").get(timeout=10)
        message.ack()
        return message.headers["task"]


def test_each_process_can_do_its_own_work(accounts, settings):
    for sender in ("web", "beat", "worker"):
        send_hint(accounts[sender])
        assert take_hint(accounts["worker"]) == "jobs.tasks.scan_jobs"
    settings.KMES_REDIS_URL = accounts["beat"]
    publish_beat_heartbeat()
    settings.KMES_REDIS_URL = accounts["worker"]
    with connect(seconds=2) as worker:
        worker.set("kmes:heartbeat:worker:here", "{}", ex=60)
    for sender in ("web", "worker", "reports"):
        with redis.Redis.from_url(accounts[sender]) as client:
            client.mset({"kmes:changes:jobs": "1", "kmes:changes:log": "2"})
    with redis.Redis.from_url(accounts["web"]) as web:
        assert web.getrange("kmes:changes:log", 0, 31) == b"2"
    for sender in ("web", "worker"):
        settings.KMES_REDIS_URL = accounts[sender]
        notice_queue.hint()
        settings.KMES_REDIS_URL = accounts["web"]
        assert read_heartbeats().queues["reports"] == 1
        with redis.Redis.from_url(accounts["reports"]) as reports:
            reports.delete("kmes:notices:hint")
            assert reports.lrange("rq:queue:reports", 0, -1) != []
            reports.delete("rq:queue:reports")
            run_reports(reports)
    found = read_heartbeats()
    assert (found.redis_up, found.beat_alive, len(found.workers)) == (True, True, 1)


def test_the_health_checks_use_their_own_accounts(accounts, tmp_path):
    for name in ("worker", "beat", "reports"):
        place, _at, rest = accounts[name].rpartition("@")
        (tmp_path / name).write_text(place.rpartition(":")[2])
        environment = {"KMES_REDIS_URL": f"redis://{name}@{rest}", "KMES_REDIS_PASSWORD_FILE": str(tmp_path / name)}
        assert container.is_healthy(name, environment) in {True, False}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("reports", ("LPUSH", "cloud", "x")),
        ("reports", ("SET", "kmes:heartbeat:beat", "1")),
        ("beat", ("RPUSH", "rq:queue:reports", "x")),
        ("beat", ("SET", "kmes:notices:hint", "1")),
        ("beat", ("SET", "kmes:changes:jobs", "1")),
        ("web", ("SET", "kmes:heartbeat:worker:forged", "{}")),
        ("worker", ("SET", "kmes:heartbeat:beat", "1")),
        *[(name, ("FLUSHALL",)) for name in PROCESSES],
        *[(name, ("EVAL", "while true do end", "0")) for name in PROCESSES],
        *[(name, ("CONFIG", "SET", "dir", "/tmp")) for name in PROCESSES],
        *[(name, ("ACL", "SETUSER", "mine", "on", "nopass")) for name in PROCESSES],
        *[(name, ("CLIENT", "KILL", "TYPE", "normal")) for name in PROCESSES],
        *[(name, ("SET", "anything", "1")) for name in PROCESSES],
        *[(name, ("PUBLISH", "anything", "1")) for name in PROCESSES],
        *[(name, ("EVAL", "return 1", "0")) for name in PROCESSES if name != "worker"],
    ],
)
def test_no_process_can_do_what_is_not_its_work(accounts, name, command):
    with redis.Redis.from_url(accounts[name]) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


def test_without_an_account_only_ping_is_answered(accounts):
    place = accounts["web"].rpartition("@")[2]
    with redis.Redis.from_url(f"redis://{place}") as stranger:
        assert stranger.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            stranger.get("cloud")
    guess = f"redis://web:{secrets.token_hex(8)}@{place}"
    with redis.Redis.from_url(guess) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


# --- TLS --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A Redis behind TLS; yields its address without any option, and the file of its authority."""
    folder, port = tmp_path_factory.mktemp("tls"), services.free_port()
    authority = make_authority(folder / "ca.pem")
    make_certificate(authority, folder / "redis.pem", host="127.0.0.1")
    make_certificate(authority, folder / "other.pem", host="192.0.2.1")
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(folder / "ca.pem")]
    own = ["--tls-cert-file", str(folder / "redis.pem"), "--tls-key-file", str(folder / "redis.pem")]
    with services.running_redis(folder, services.free_port(), *options, *own):
        yield f"rediss://127.0.0.1:{port}/0", folder


def is_reached(url: str) -> dict[str, bool]:
    """Return which of the two clients reach this Redis: redis-py, and Celery's."""
    result = {}
    with redis.Redis.from_url(url, socket_timeout=3) as client:
        try:
            result["redis"] = bool(client.ping())
        except redis.ConnectionError:
            result["redis"] = False
    with Connection(url, transport_options={"max_retries": 0, "socket_timeout": 3}) as connection:
        try:
            connection.default_channel.client.ping()
            result["celery"] = True
        except OperationalError:
            result["celery"] = False
    return result


def test_an_encrypted_redis_is_reached_if_its_certificate_is_trusted(encrypted):
    url, folder = encrypted
    assert is_reached(redis_url.complete(url, ca_file=str(folder / "ca.pem"))) == {"redis": True, "celery": True}


def test_an_encrypted_redis_is_not_reached_if_its_certificate_is_not_trusted(encrypted, tmp_path):
    url, _folder = encrypted
    make_authority(tmp_path / "other.pem")
    assert is_reached(redis_url.complete(url)) == {"redis": False, "celery": False}
    assert is_reached(redis_url.complete(url, ca_file=str(tmp_path / "other.pem"))) == {"redis": False, "celery": False}


def test_an_encrypted_redis_under_another_name_is_not_reached(encrypted):
    _url, folder = encrypted
    port = services.free_port()
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(folder / "ca.pem")]
    own = ["--tls-cert-file", str(folder / "other.pem"), "--tls-key-file", str(folder / "other.pem")]
    with services.running_redis(folder, services.free_port(), *options, *own):
        forged = redis_url.complete(f"rediss://127.0.0.1:{port}/0", ca_file=str(folder / "ca.pem"))
        assert is_reached(forged) == {"redis": False, "celery": False}


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=optional",
        "rediss://h/0?ssl_check_hostname=false",
        "http://h/0",
        "unix:///run/redis.sock",
    ],
)
def test_an_address_that_trusts_anybody_is_refused(url):
    with pytest.raises(ValueError, match="address of Redis"):
        redis_url.complete(url)


def test_a_password_with_any_letters_becomes_part_of_the_address():
    password = "p@ss/w:rd?#%"
    url = redis_url.complete("redis://web@h:6379/0", password=password)
    with redis.Redis.from_url(url) as client:
        options = client.connection_pool.connection_kwargs
    assert (options["username"], options["password"], options["host"]) == ("web", password, "h")
