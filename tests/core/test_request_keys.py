"""The keys that sign requests: made by set-up, each readable by its owner alone, kept until they are replaced."""

from __future__ import annotations

import json
import stat
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from kmes.core import request_keys
from kmes.core.errors import KmesError
from kmes.core.request_keys import Signer, make_request_keys, private_file
from kmes.core.request_signatures import encode, is_signed, sign
from kmes.supervision import container
from kmes.supervision.instance import Instance
from kmes.supervision.processes import write_request_keys
from logging_reports.models import LogEntry
from tests.container.volumes import make_volumes

MESSAGE = encode("test", {"a": 1})


@pytest.fixture
def keys(tmp_path, settings):
    """The keys of an installation of its own."""
    settings.KMES_REQUEST_KEYS_DIR = tmp_path / "keys"
    settings.KMES_REQUEST_SIGNERS_FILE = tmp_path / "keys" / "public.json"
    make_request_keys(settings.KMES_REQUEST_KEYS_DIR, settings.KMES_REQUEST_SIGNERS_FILE)
    return tmp_path / "keys"


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_process_has_a_key_that_its_owner_alone_reads(keys):
    for signer in Signer:
        path = private_file(keys, signer)
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert mode(keys / "public.json") == 0o644
    assert "PRIVATE" not in (keys / "public.json").read_text()


def test_a_second_set_up_changes_nothing(keys):
    before = {path: path.read_bytes() for path in keys.rglob("*.*")}
    assert make_request_keys(keys, keys / "public.json") == []
    assert {path: path.read_bytes() for path in keys.rglob("*.*")} == before


def test_what_one_process_signs_is_not_signed_by_the_other(keys):
    signature = sign(MESSAGE, Signer.WEB)
    assert is_signed(MESSAGE, signature, "web")
    assert not is_signed(MESSAGE, signature, "worker")
    assert not is_signed(MESSAGE, signature, "nobody")
    assert not is_signed(encode("test", {"a": 2}), signature, "web")
    assert not is_signed(MESSAGE, b"", "web")


def test_a_lost_key_is_made_anew_and_what_it_signed_still_holds(keys):
    signature = sign(MESSAGE, Signer.WEB)
    private_file(keys, Signer.WEB).unlink()
    assert make_request_keys(keys, keys / "public.json") == [Signer.WEB]
    assert is_signed(MESSAGE, signature, "web")
    assert is_signed(MESSAGE, sign(MESSAGE, Signer.WEB), "web")


def test_what_a_replaced_key_signed_is_accepted_no_more(keys, db):
    by_web, by_worker = sign(MESSAGE, Signer.WEB), sign(MESSAGE, Signer.WORKER)
    said = StringIO()
    call_command("make_request_keys", replace="web", stdout=said)
    assert str(private_file(keys, Signer.WEB)) in said.getvalue()
    assert not is_signed(MESSAGE, by_web, "web")
    assert is_signed(MESSAGE, sign(MESSAGE, Signer.WEB), "web")
    assert is_signed(MESSAGE, by_worker, "worker")
    row = LogEntry.objects.get(event="configuration.request_key_made")
    assert row.data["accepted"] == json.loads((keys / "public.json").read_text())["web"]


def test_a_key_that_can_not_be_read_is_said_in_words(keys, db):
    private_file(keys, Signer.WEB).unlink()
    with pytest.raises(KmesError, match=r"can't be read from .*key\.pem"):
        sign(MESSAGE, Signer.WEB)
    (keys / "public.json").unlink()
    with pytest.raises(KmesError, match="No request can be verified"):
        is_signed(MESSAGE, b"", "web")


@pytest.mark.parametrize("content", ["", "[]", '{"web": "x"}', '{"web": [1]}', '{"web": ["00"]}', '{"web": {}}'])
def test_a_damaged_file_of_public_halves_accepts_nothing(keys, content, db):
    signature = sign(MESSAGE, Signer.WEB)
    (keys / "public.json").write_text(content)
    with pytest.raises(KmesError, match="No request can be verified"):
        is_signed(MESSAGE, signature, "web")
    with pytest.raises(CommandError, match="The keys can't be made"):
        call_command("make_request_keys")


def test_a_file_with_another_kind_of_key_signs_nothing(keys):
    path = private_file(keys, Signer.WEB)
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(KmesError, match="Nothing can be requested"):
        sign(MESSAGE, Signer.WEB)


def test_make_run_makes_them_where_the_settings_look(tmp_path):
    write_request_keys(Instance.from_environment({"KMES_STATE_DIR": str(tmp_path)}))
    assert private_file(tmp_path / "request_keys", Signer.WORKER).exists()
    assert request_keys.read_signers(tmp_path / "request_keys" / "public.json").keys() == {"web", "worker"}
    elsewhere = {"KMES_STATE_DIR": str(tmp_path), "KMES_REQUEST_KEYS_DIR": str(tmp_path / "k")}
    write_request_keys(Instance.from_environment({**elsewhere, "KMES_REQUEST_SIGNERS_FILE": str(tmp_path / "p.json")}))
    assert request_keys.read_signers(tmp_path / "p.json").keys() == {"web", "worker"}


def test_the_containers_find_them_in_the_volumes_that_they_mount(tmp_path):
    container.make_secrets(make_volumes(tmp_path), volumes=tmp_path)
    for signer in Signer:
        assert (tmp_path / "kmes-request-keys" / signer / "key.pem").exists()
    assert (tmp_path / "kmes-request-signers" / "public.json").exists()
