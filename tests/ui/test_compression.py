"""Pages, styles and scripts are compressed; what could tell a secret by its length differs each time."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.ui.rows import body

STYLES = "/static/bootstrap/css/bootstrap.min.css"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def fetch(client, address, **headers):
    answer = client.get(address, headers={"accept-encoding": "gzip", **headers})
    return answer, b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_page_is_compressed_for_a_browser_that_accepts_it(pages):
    plain = pages.get("/keys/")
    answer, content = fetch(pages, "/keys/")
    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    assert "Content-Encoding" not in plain
    assert b"</html>" in gzip.decompress(content)
    assert len(content) < len(plain.content) / 2


@pytest.mark.parametrize("address", [STYLES, "/static/kmes/app.css", "/static/kmes/menu.js"])
def test_styles_and_scripts_are_compressed_and_asked_for_once(client, address):
    answer, content = fetch(client, address)
    assert answer["Content-Encoding"] == "gzip"
    plain = b"".join(client.get(address).streaming_content)
    assert gzip.decompress(content) == plain
    assert len(content) < len(plain) / 2
    again, nothing = fetch(client, address, **{"if-none-match": answer["ETag"]})
    assert (again.status_code, nothing) == (304, b"")


def test_the_token_of_a_form_differs_in_each_response(pages):
    tokens = {TOKEN.search(body(pages.get("/keys/"))).group(1) for _ in range(3)}
    assert len(tokens) == 3


@pytest.mark.parametrize("address", ["/logs/export.csv", "/logs/export.jsonl", "/healthz"])
def test_files_and_probes_stay_as_they_are(pages, address):
    answer, _content = fetch(pages, address)
    assert "Content-Encoding" not in answer


def test_the_answer_to_head_has_no_body(client):
    answer = client.head(STYLES, headers={"accept-encoding": "gzip"})
    assert b"".join(answer.streaming_content) == b""
