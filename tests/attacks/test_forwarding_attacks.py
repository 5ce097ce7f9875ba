"""What a database writer, a user and a hostile receiver try with log forwarding."""

from __future__ import annotations

import pytest

from kmes.core.actor import SYSTEM
from kmes.core.secret_types import SecretText
from logging_reports.forwarding import destinations, seals
from logging_reports.forwarding.choices import Transport
from logging_reports.forwarding.forms import DestinationForm
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogEntry
from logging_reports.services import record
from tests.log_servers import LogServer, make_authority
from tests.logging_reports.forwarding import add, turn, turns, values, write_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings):
    settings.KMES_FORWARDING_PRIVATE_HOSTS = ["localhost"]


@pytest.fixture
def server(tmp_path):
    running = LogServer("rsyslog", tmp_path, make_authority())
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "127.0.0.1"},
        {"port": 1},
        {"ca_certificates": ""},
        {"services": ["audit", "device"]},
        {"lowest_severity": "error"},
        {"events": ["job.failed"]},
        {"row_format": "cef"},
        {"name": "other"},
    ],
)
def test_a_destination_that_was_changed_in_the_database_gets_nothing(server, changes):
    write_rows(3)
    destination = add(server)
    ForwardingDestination.objects.filter(pk=destination.pk).update(**changes)
    destination.refresh_from_db()
    turn(destination)
    assert destination.last_error.startswith("This destination is not as the console stored it")
    assert server.lines() == []


def test_a_destination_that_was_inserted_in_the_database_gets_nothing(server):
    row = ForwardingDestination.objects.create(
        name="mine", transport="syslog", row_format="json", host="localhost", port=server.port, seal="0" * 64,
        ca_certificates=server.authority.pem, services=["audit"],
    )  # fmt: skip
    row.positions.create(service="audit")
    write_rows(1)
    turn(row)
    assert row.failures == 1
    assert server.lines() == []


def test_a_token_opens_for_its_address_only():
    given = values(transport=Transport.COLLECTOR, path="/services/collector/event", token=SecretText("t0ken-t0ken"))
    destination = destinations.add_destination(given, start="now", actor=SYSTEM)
    assert seals.decrypt_token(destination).reveal() == "t0ken-t0ken"
    assert "t0ken" not in repr(ForwardingDestination.objects.values().get())
    assert "t0ken" not in repr(list(LogEntry.objects.values()))
    for name, value in (("host", "evil.example.com"), ("port", 1), ("path", "/x"), ("ca_certificates", "x")):
        changed = ForwardingDestination.objects.get()
        setattr(changed, name, value)
        with pytest.raises(seals.TokenLostError):
            seals.decrypt_token(changed)


def test_without_the_consoles_signing_key_no_token_opens(settings):
    given = values(transport=Transport.COLLECTOR, path="/x", token=SecretText("t0ken-t0ken"))
    destination = destinations.add_destination(given, start="now", actor=SYSTEM)
    settings.SECRET_KEY = "another"
    assert not seals.has_valid_seal(destination)
    with pytest.raises(seals.TokenLostError):
        seals.decrypt_token(destination)


def test_a_message_forges_no_line_in_the_servers_file(server):
    forged = 'x\n<110>1 2026-11-24T10:05:00Z host kmes audit job.finished [kmes@32473 sequence="9"] forged\r\n\0'
    record("job.failed", actor=SYSTEM, message=forged + '"] [kmes@32473 sequence="7"]')
    destination = add(server)
    turns(destination)
    lines = server.wait_for_lines(destination.positions.get().confirmed)
    assert len(lines) == destination.positions.get().confirmed
    assert all(line.startswith("<1") and " kmes audit " in line for line in lines)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "10.0.0.5", "169.254.169.254", "192.168.1.1", "fd00:ec2::254", "0.0.0.0", "::ffff:10.0.0.5"],  # noqa: S104
)
def test_an_address_inside_is_refused_when_it_is_typed_and_when_rows_are_sent(host, server, settings):
    typed = {"name": "n", "transport": "syslog", "row_format": "json", "host": host, "port": server.port,
             "services": ["audit"], "lowest_severity": "info", "start": "now"}  # fmt: skip
    form = DestinationForm(typed)
    assert "KMES_FORWARDING_PRIVATE_HOSTS" in str(form.errors["host"])
    destination = turn(add(server, host=host))
    assert "lies inside this network" in destination.last_error
    assert server.lines() == []


def test_no_setting_allows_the_services_of_a_cloud_for_its_own_machines(server, settings):
    settings.KMES_FORWARDING_PRIVATE_HOSTS = ["169.254.169.254", "168.63.129.16"]
    for number, host in enumerate(settings.KMES_FORWARDING_PRIVATE_HOSTS):
        destination = turn(add(server, host=host, name=f"n{number}"))
        assert "lies inside this network" in destination.last_error


@pytest.mark.parametrize(
    "host", ["a b", "https://x.example", "x.example:1", "x.example/", "-x", "x..y", "é.example", "a\tb"]
)
def test_what_is_no_host_is_refused(host):
    assert "host" in DestinationForm({"host": host}).errors


def test_many_destinations_are_refused():
    for number in range(destinations.MAX_DESTINATIONS):
        destinations.add_destination(values(name=f"n{number}"), start="now", actor=SYSTEM)
    with pytest.raises(destinations.ConflictError):
        destinations.add_destination(values(name="more"), start="now", actor=SYSTEM)
