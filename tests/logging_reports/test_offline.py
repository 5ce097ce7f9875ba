"""An export in JSON Lines is verified with nothing but the file, an anchor and the key that signed it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from kmes.core.actor import SYSTEM, Actor, Trigger
from logging_reports.chain import hash_entry
from logging_reports.json_lines import LINE_FIELDS, from_line, to_line
from logging_reports.models import LogEntry
from logging_reports.offline import main
from logging_reports.services import Draft, Subject, record_many
from tests.logging_reports.signer import Signer

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def export(tmp_path):
    """A file of six rows, newest first, with every field filled in one of them."""
    record_many([Draft(event="azure.probe", actor=SYSTEM, message=f"row {n} ü\u2028") for n in range(5)])
    full = Draft(
        event="azure.key_imported",
        actor=Actor("ann", Trigger.USER, 7),
        subject=Subject("c", "cred", "vault", "g", "group", "k", "key", "v1"),
        job_id=UUID(int=5),
        job_code="7F3KQ2",
        provider_request_id="req",
        http_status=200,
        duration_ms=12,
        data={"deep": [1, True, None, {"a": "ü"}]},
    )
    record_many([full])
    path = tmp_path / "export.jsonl"
    rows = LogEntry.objects.filter(service="azure").order_by("-sequence")
    path.write_text("".join(to_line(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def evidence(export, tmp_path):
    """What the auditor has besides the export: an anchor, and the key's fingerprint from the set-up."""
    signer, anchor = Signer(), tmp_path / "anchor.txt"
    anchor.write_text(signer.make_checkpoint().anchor.to_file())
    return ["--anchor", str(anchor), "--key", signer.key]


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file; a row's text may hold other line separators."""
    return [line + "\n" for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def change(path: Path, line: int, **values) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[line] = json.dumps({**json.loads(lines[line]), **values})
    path.write_text("\n".join(lines), encoding="utf-8")


def test_an_untouched_export_verifies_with_five_files_and_without_database_or_django(export, evidence, tmp_path):
    package = tmp_path / "logging_reports"
    package.mkdir()
    for name in ("chain.py", "anchors.py", "handovers.py", "json_lines.py", "offline.py"):
        shutil.copy(ROOT / "logging_reports" / name, package)
    arguments = [str(export), *evidence]
    command = [sys.executable, "-m", "logging_reports.offline", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = "export: ok, 6 rows of the log “azure”: 6 proven by the anchor, 0 newer than it, 0 not proven, 0 gaps"
    assert done.stdout.splitlines() == [said, f"anchor: signed by the key sha256:{evidence[3]}"]
    call_command("verify_log", "--export", *arguments, stdout=StringIO())


CHANGES = {
    "sequence": 3, "at": "2020-01-01T00:00:00.000000Z", "actor_user_id": 8, "http_status": 500, "duration_ms": 13,
    "data": {"deep": []}, "truncated": True, "job_id": str(UUID(int=6)), "hash": "0" * 64, "previous_hash": "1" * 64,
    "chain_format": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", LINE_FIELDS)
def test_a_changed_field_is_found(export, evidence, name):
    change(export, 0, **{name: CHANGES.get(name, "other")})
    assert main([str(export), *evidence]) == 1


def test_an_extra_or_missing_field_is_no_row(export, evidence):
    change(export, 2, note="added")
    assert main([str(export), *evidence]) == 1


def test_a_name_that_stands_twice_in_a_line_is_found(export, evidence):
    lines = export.read_text(encoding="utf-8").split("\n")
    lines[1] = lines[1].replace('"message":', '"message":"shown first","message":', 1)
    export.write_text("\n".join(lines), encoding="utf-8")
    assert main([str(export), *evidence]) == 1


def test_rows_left_out_and_exchanged_ones_are_found(export, evidence):
    rows = lines_of(export)
    for forged in ([*rows[:2], *rows[3:]], [rows[1], rows[0], *rows[2:]], [*rows, rows[0]]):
        export.write_text("".join(forged), encoding="utf-8")
        assert main([str(export), *evidence]) == 1


def test_a_filtered_export_is_not_called_proven_but_for_what_links_to_the_anchor(export, evidence, capsys):
    rows = lines_of(export)
    export.write_text("".join([*rows[:2], *rows[3:]]), encoding="utf-8")
    assert main([str(export), *evidence, "--filtered"]) == 2
    assert "2 proven by the anchor, 0 newer than it, 3 not proven, 1 gaps" in capsys.readouterr().out
    export.write_text("".join(rows[:2]), encoding="utf-8")
    assert main([str(export), *evidence, "--filtered"]) == 0


def test_rows_newer_than_the_anchor_are_counted_apart(export, evidence, capsys):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message="later") for _n in range(2)])
    rows = LogEntry.objects.filter(service="azure").order_by("-sequence")
    export.write_text("".join(to_line(row) for row in rows), encoding="utf-8")
    assert main([str(export), *evidence]) == 0
    assert "8 rows of the log “azure”: 6 proven by the anchor, 2 newer" in capsys.readouterr().out


def test_a_row_computed_anew_is_found_by_the_next_one_or_the_anchor(export, evidence):
    for line in (2, 0):
        original = export.read_text(encoding="utf-8")
        row = from_line(original.split("\n")[line])
        row.message = "forged"
        change(export, line, message="forged", hash=hash_entry(row))
        assert main([str(export), *evidence]) == 1
        export.write_text(original, encoding="utf-8")


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_can_not_be_read_ends_2(content, evidence, tmp_path):
    path = tmp_path / "other.jsonl"
    if content:
        path.write_bytes(content)
    assert main([str(path), *evidence]) == 2
    with pytest.raises(CommandError) as refusal:
        call_command("verify_log", "--export", str(path), *evidence)
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("left_out", ["--anchor", "--key"])
def test_without_the_anchor_or_its_key_nothing_is_verified(left_out, export, evidence, settings, tmp_path, capsys):
    settings.KMES_PINNED_KEYS_FILE = tmp_path / "none.json"
    place = evidence.index(left_out)
    partial = evidence[:place] + evidence[place + 2 :]
    with pytest.raises(SystemExit) as refused:
        main([str(export), *partial])
    assert refused.value.code == 2
    assert left_out in capsys.readouterr().err
    with pytest.raises(CommandError) as refusal:
        call_command("verify_log", "--export", str(export), *partial)
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("key", ["", "sha256:", "ab", "z" * 64])
def test_a_key_that_is_no_fingerprint_is_refused(key, export, evidence):
    assert main([str(export), *evidence[:2], "--key", key]) == 2
