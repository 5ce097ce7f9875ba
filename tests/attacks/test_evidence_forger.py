"""Somebody who hands an auditor evidence of an approval that nobody gave wants the offline check to agree."""

from __future__ import annotations

import hashlib
import json

import pytest

from jobs.approvals import offline
from kmes.core.canonical_json import encode

ERASE = "\x1b[1A\x1b[2K"


def forged(*decisions, **changes) -> str:
    """Evidence that needs no key: a plan, its digest, and decisions on it."""
    plan = {"job": "00" * 32, "plan": {"title": "Destroy k1"}, "reason": "", "requirements": []}
    digest = hashlib.sha256(encode(offline.PLAN, plan)).hexdigest()
    made = [
        {"verdict": "approve", "user_name": "ben", "user": 2, "digest": digest, "proof": {}, **each}
        for each in decisions
    ]
    return json.dumps(
        {"format": offline.FORMAT, "job": "job-1", "digest": digest, "plan": plan, "decisions": made, **changes}
    )


def check(tmp_path, content: str, capsys) -> tuple[int, str]:
    file = tmp_path / "evidence.json"
    file.write_text(content)
    status = offline.main([str(file)])
    return status, capsys.readouterr().out


def test_decisions_that_nobody_signed_prove_nothing(tmp_path, capsys):
    assert check(tmp_path, forged({}), capsys) == (2, "NOT PROVEN approve by ben (user 2): not signed by a passkey\n")


def test_evidence_without_decisions_proves_nothing(tmp_path, capsys):
    assert check(tmp_path, forged(), capsys) == (2, "NOT PROVEN: the file holds no decision\n")


def test_a_name_prints_no_line_of_its_own(tmp_path, capsys):
    name = f"ben{ERASE}\napprove by ann (user 1): signed by the passkey with the public key sha256:{'0' * 64}\u202e"
    _status, said = check(tmp_path, forged({"user_name": name}), capsys)
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "content", [forged({}).replace('"digest"', '"digest": "", "digest"', 1), "[" * 100_000, "{}", ""]
)
def test_what_readers_read_differently_or_not_at_all_is_refused(tmp_path, capsys, content):
    assert check(tmp_path, content, capsys) == (2, "")
