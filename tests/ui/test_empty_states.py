"""Every list says by one template why it is empty; the kinds are four."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import render_to_string

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
# Pages that are a refusal as a whole: no list is missing there.
REFUSALS = {"400.html", "403.html", "403_csrf.html", "404.html", "ui/refusal.html"}


def test_no_list_makes_its_own():
    by_hand = {
        str(path.relative_to(TEMPLATES))
        for path in TEMPLATES.rglob("*.html")
        if re.search(r'class="[^"]*\bempty-state\b', path.read_text()) and path.name != "_empty.html"
    }
    assert by_hand == REFUSALS


def test_each_use_names_one_of_the_four_kinds():
    kinds = []
    for path in TEMPLATES.rglob("*.html"):
        kinds += re.findall(r'include "ui/_empty.html" with kind="(\w+)"', path.read_text())
        assert path.read_text().count('include "ui/_empty.html"') == len(
            re.findall(r'include "ui/_empty.html" with kind="\w+"', path.read_text())
        ), path
    assert set(kinds) == {"none", "match", "right", "link"}


@pytest.mark.parametrize(
    ("given", "words", "absent"),
    [
        ({"kind": "none", "url": "/add/", "action": "Add one", "is_dialog": True}, "data-dialog>Add one", "Clear"),
        ({"kind": "match", "url": "/all/"}, ">Clear filters<", "btn-primary"),
        ({"kind": "right", "right": "group.manage"}, "needs the right “Key Groups:Manage”", "btn"),
        ({"kind": "link", "url": "/device/", "action": "Check device"}, "btn-primary", "Clear"),
        ({"kind": "none", "is_part": True}, "<h3>Nothing</h3>", "<h2>"),
    ],
)
def test_a_kind_brings_what_helps(given, words, absent):
    shown = render_to_string("ui/_empty.html", {"title": "Nothing", "text": "Because.", **given})
    assert f"empty-{given['kind']}" in shown
    assert words in shown
    assert absent not in shown
