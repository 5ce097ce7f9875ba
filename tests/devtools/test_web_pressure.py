"""The measurement of the web server runs it as the supervisor does, by itself."""

from __future__ import annotations

from kmes.devtools import web_pressure


def test_the_server_that_is_measured_answers_and_is_gone_afterwards():
    with web_pressure.web_process(web_pressure.OWN_WORKER) as (port, _pid):
        assert web_pressure.ask(port) is not None
    assert web_pressure.ask(port) is None
