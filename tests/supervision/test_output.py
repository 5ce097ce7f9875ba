"""What processes print is shown to whoever started the console, whatever it is."""

from __future__ import annotations

from kmes.supervision.output import LineLog


def test_no_output_of_a_process_moves_the_cursor_or_turns_the_line(tmp_path, capfdbinary):
    log = LineLog("web", tmp_path / "web.log")
    forged = "ready\x1b[2K\rworker   | the device serves \u202e\x9b2J\tétat\n".encode()
    log.feed(forged)
    log.close()
    shown = capfdbinary.readouterr().out.decode()
    assert shown.startswith("web      | ready")
    assert shown.endswith("\tétat\n")
    assert shown.count("\n") == 1
    assert all(each.isprintable() or each in "\t\n" for each in shown)
    assert (tmp_path / "web.log").read_bytes() == forged
