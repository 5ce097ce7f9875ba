"""The services that other tests lean on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from django.conf import settings

from tests import services


def test_redis_runs_where_the_settings_say(redis_server):
    assert redis_server == os.environ["KMES_REDIS_URL"]
    assert services.listens(int(redis_server.rsplit(":", 1)[1].partition("/")[0]))


def test_stand_in_is_reset_between_tests(azure_stand_in):
    assert azure_stand_in.ca_file.exists()
    assert azure_stand_in.answers()


def test_sockets_beyond_loopback_are_refused():
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError, match="this machine only"):
        probe.connect(("192.0.2.1", 443))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("vault.example.org", 443)


def test_settings_live_in_a_folder_of_their_own():
    assert Path(settings.KMES_STATE_DIR).name == "state"
    assert "kmes-test-" in str(settings.KMES_STATE_DIR)
