"""What `make test` makes of checks that fail."""

from __future__ import annotations

import sys

import pytest

from kmes.devtools.checks import TRIED_AGAIN_AT_MOST, Check, run

STEADY = "def test_steady(): pass\n"
# Fails until a file of its own says that it was here before.
UNSTEADY = """
import pathlib
def test_unsteady():
    mark = pathlib.Path(__file__).with_suffix(".mark")
    was_here = mark.exists()
    mark.touch()
    assert was_here
"""
BROKEN = "def test_broken(): assert False\n"


@pytest.fixture
def check(tmp_path):
    """Return a check that runs the given files of tests side by side."""

    def make(*texts, processes=2):
        for number, text in enumerate(texts):
            (tmp_path / f"test_{number}.py").write_text(text)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        cache = tmp_path / "cache"
        command = (
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            str(processes),
            "-p",
            "no:django",
            "-c",
            str(tmp_path / "pytest.ini"),
        )
        arguments = ("-o", f"cache_dir={cache}", str(tmp_path))
        return Check("tests", (*command, *arguments), failed_tests=cache / "v" / "cache" / "lastfailed")

    return make


def test_a_test_that_fails_once_is_named_and_does_not_fail_the_run(check, capfd):
    assert run([check(STEADY, UNSTEADY)]) == 0
    assert capfd.readouterr().out.endswith(
        "unsteady: test_1.py::test_unsteady failed at first and passed by itself\nall 1 checks passed\n"
    )


def test_a_test_that_fails_twice_fails_the_run(check, capfd):
    assert run([check(BROKEN, UNSTEADY)]) == 1
    assert "unsteady: test_1.py" in (out := capfd.readouterr().out)
    assert out.endswith("failed: tests\n")


def test_many_failures_are_not_tried_again(check, capfd):
    assert run([check(*[UNSTEADY] * (TRIED_AGAIN_AT_MOST + 1))]) == 1
    assert "once more" not in capfd.readouterr().out


def test_a_run_without_a_test_fails_and_so_does_one_that_can_not_begin(check):
    assert run([check()]) == 1
    assert run([check("import nothing_of_this_name\n")]) == 1


def test_a_run_that_left_tests_out_is_not_saved_by_those_that_failed(check, capfd):
    no_module = UNSTEADY.replace("def test_unsteady():", "if True:")
    assert run([check(no_module, BROKEN, processes=0)]) == 1
    assert "once more" not in capfd.readouterr().out


def test_another_command_is_not_tried_again(capfd):
    assert run([Check("good", ("true",)), Check("bad", ("false",))]) == 1
    assert capfd.readouterr().out.endswith("failed: bad\n")


# --- Beside each other --------------------------------------------------------------------------
WAIT = """
import pathlib, sys, time
mark, awaited = map(pathlib.Path, sys.argv[1:])
end = time.monotonic() + 60
while not awaited.exists() and time.monotonic() < end:
    time.sleep(0.01)
    mark.with_suffix(".waits").touch()
mark.touch()
print(mark.name, "came after", awaited.name)
sys.exit(not awaited.exists())
"""


def waiting_check(mark, awaited):
    """Return a check that says it waits, ends well once it sees a file, and leaves one of its own."""
    return Check(mark.name, (sys.executable, "-c", WAIT, str(mark), str(awaited)))


def test_checks_run_beside_others_and_what_they_say_comes_in_one_piece(tmp_path, capfd):
    first, second = tmp_path / "first", tmp_path / "second"
    # The first ends when the second waits for it.
    assert run([waiting_check(first, second.with_suffix(".waits"))], [waiting_check(second, first)]) == 0
    assert [line.partition(": ok, ")[0] for line in capfd.readouterr().out.splitlines()] == [
        *("--- first", "first came after second.waits", "--- first"),
        *("--- second", "second came after first", "--- second"),
        "all 2 checks passed",
    ]


def test_what_fails_beside_others_is_tried_again_when_they_have_ended_and_fails_the_run(check, tmp_path, capfd):
    ended = tmp_path / "ended"
    alone = check(f"import pathlib\ndef test_alone(): assert pathlib.Path({str(ended)!r}).exists()\n", processes=0)
    assert run([waiting_check(ended, alone.failed_tests)], [Check("bad", ("false",)), alone]) == 1
    said = capfd.readouterr().out
    assert said.index("--- ended: ok") < said.index("--- tests: once more what failed") < said.index("--- tests: ok")
    assert said.endswith("unsteady: test_0.py::test_alone failed at first and passed by itself\nfailed: bad\n")
