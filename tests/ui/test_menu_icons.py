"""Icons of menus: drawn, silent to a screen reader, and never what moves an entry out of its column."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy

from kmes.ui import actions, menu_icons
from kmes.ui.actions import MenuAction, all_actions, menu_for
from tests.services import ROOT

SOMEBODY = SimpleNamespace(may=lambda _right, *_objects: True, may_somewhere=lambda _right: True)


@pytest.fixture
def menu(monkeypatch):
    """The menu of keys with the given entries."""
    monkeypatch.setattr(actions, "_registry", {})

    def shown(*entries: dict[str, object]) -> str:
        for entry in entries:
            given = {"target": "key", "label": str(entry["name"]), "url": lambda _obj: "/there/"}
            actions.register(MenuAction(**given | entry))  # type: ignore[arg-type]
        return render_to_string("ui/_menu.html", {"name": "a-key", "groups": menu_for("key", object(), SOMEBODY)})

    return shown


def test_every_icon_of_a_menu_is_drawn():
    drawn = set(re.findall(r'id="([a-z-]+)"', (ROOT / "kmes" / "static" / "kmes" / "icons.svg").read_text()))
    named = {menu_icons.icon_of(action.name) for action in all_actions()}
    named |= {menu_icons.icon_of_submenu(action.submenu) for action in all_actions()}
    assert named - {""} <= drawn
    assert {*menu_icons.OF_ENTRIES.values(), *menu_icons.OF_SUBMENUS.values()} <= drawn


def test_an_entry_without_an_icon_keeps_the_place_for_one(menu):
    shown = menu({"name": "edit"}, {"name": "something-else"}, {"name": "copy", "method": "copy"})
    entries = re.findall(
        r'role="menuitem".*?>(<(?:svg|span) class="icon" aria-hidden="true".*?)\s*<span>(.*?)</span>', shown
    )
    assert [label for _icon, label in entries] == ["edit", "something-else", "copy"]
    assert ["#edit" in entries[0][0], "use" in entries[1][0], "#copy" in entries[2][0]] == [True, False, True]


def test_an_icon_adds_nothing_to_the_name_of_an_entry(menu):
    shown = menu({"name": "edit", "label": "Edit"}, {"name": "rotate", "label": "Rotate", "submenu": "Cloud"})
    assert len(re.findall("<svg", shown)) == 4
    assert len(re.findall('<svg class="icon" aria-hidden="true"', shown)) == 4


def test_a_submenu_has_its_icon_by_the_words_of_the_code():
    assert menu_icons.icon_of_submenu(gettext_lazy("Cloud")) == "cloud"
    assert menu_icons.icon_of_submenu("Made up") == ""
