"""An export in JSON Lines is verified with nothing but the file, and an anchor if there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from kmes.core.actor import SYSTEM, Actor, Trigger
from logging_reports.chain import hash_entry
from logging_reports.json_lines import LINE_FIELDS, from_line, to_line
from logging_reports.models import LogEntry
from logging_reports.offline import main, verify_lines
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


def change(path: Path, line: int, **values) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[line] = json.dumps({**json.loads(lines[line]), **values})
    path.write_text("\n".join(lines), encoding="utf-8")


def test_an_untouched_export_verifies_with_four_files_and_without_database_or_django(export, tmp_path):
    package = tmp_path / "logging_reports"
    package.mkdir()
    for name in ("chain.py", "anchors.py", "json_lines.py", "offline.py"):
        shutil.copy(ROOT / "logging_reports" / name, package)
    anchor = tmp_path / "anchor.txt"
    anchor.write_text(Signer().make_checkpoint().anchor.to_file())
    command = [sys.executable, "-m", "logging_reports.offline", str(export), "--anchor", str(anchor)]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "export: ok, 6 rows, 0 gaps, 1 rows named by the anchor")
    call_command("verify_log", "--export", str(export))


CHANGES = {
    "sequence": 3, "at": "2020-01-01T00:00:00.000000Z", "actor_user_id": 8, "http_status": 500, "duration_ms": 13,
    "data": {"deep": []}, "truncated": True, "job_id": str(UUID(int=6)), "hash": "0" * 64, "previous_hash": "1" * 64,
    "chain_format": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", LINE_FIELDS)
def test_a_changed_field_is_found(export, name):
    change(export, 0, **{name: CHANGES.get(name, "other")})
    assert main([str(export)]) == 1


def test_an_extra_or_missing_field_is_no_row(export):
    change(export, 2, note="added")
    assert main([str(export)]) == 1


def test_rows_left_out_are_counted_as_gaps_and_exchanged_ones_found(export):
    rows = export.read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert verify_lines([*rows[:2], *rows[3:]]).gaps == 1
    assert verify_lines([rows[1], rows[0], *rows[2:]]).faults
    assert verify_lines([*rows, rows[0]]).faults


def test_a_row_computed_anew_is_found_by_the_next_one_or_the_anchor(export, tmp_path):
    anchor = tmp_path / "anchor.txt"
    anchor.write_text(Signer().make_checkpoint().anchor.to_file())
    assert main([str(export), "--anchor", str(anchor)]) == 0
    for line, needs_anchor in ((2, False), (0, True)):
        original = export.read_text(encoding="utf-8")
        row = from_line(original.split("\n")[line])
        row.message = "forged"
        change(export, line, message="forged", hash=hash_entry(row))
        assert main([str(export)]) == (0 if needs_anchor else 1)
        assert main([str(export), "--anchor", str(anchor)]) == 1
        export.write_text(original, encoding="utf-8")


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_can_not_be_read_ends_2(content, tmp_path):
    path = tmp_path / "export.jsonl"
    if content:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    with pytest.raises(CommandError) as refusal:
        call_command("verify_log", "--export", str(path))
    assert refusal.value.returncode == 2
