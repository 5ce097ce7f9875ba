"""Finds pages, objects and actions, for the command palette and the search page.

Each app registers a provider for its objects when it is loaded; this module knows no kind of object. A
search costs at most one query per provider, plus the queries of the best hits' actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from kmes.ui.actions import MenuItem, Method, Target, all_actions, flat_menu, menu_for
from kmes.ui.navigation import pages_for

MAX_TEXT = 160
PER_KIND = 6
PER_KIND_ON_PAGE = 30
ACTIONS_SHOWN = 8
# Number of hits whose actions are searched for a verb ("synchronize tde"): each menu may cost two queries.
HITS_WITH_ACTIONS = 2
_SHORTEST_VERB = 3
_STEM = 5


@dataclass(frozen=True)
class Hit:
    """A search result. ``actions_url`` is the page of its actions, "" if it has none.

    ``method`` and ``reason`` are those of a menu entry, where the hit is an action.
    """

    label: str
    url: str
    icon: str
    detail: str = ""
    actions_url: str = ""
    target: Target | None = None
    obj: Any = None
    # Other names of the hit, which count as its label does.
    other_names: tuple[str, ...] = ()
    method: Method = "link"
    reason: str = ""

    def is_meant_by(self, words: str) -> bool:
        """Return whether a name of the hit begins with the words, so that its actions are shown."""
        return any(name.casefold().startswith(words) for name in (self.label, *self.other_names))


@dataclass(frozen=True)
class Kind:
    """Hits of one kind, under their heading."""

    label: str
    hits: list[Hit] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """The search of one app: ``find`` gets the text and the maximum number of hits, and returns the best first."""

    name: str
    label: str | Promise
    find: Callable[[str, int], list[Hit]]
    right: str = "console.read"
    order: int = 100


# Targets whose actions need no object, such as adding one.
_backgrounds: dict[Target, tuple[int, str]] = {}
_providers: dict[str, Provider] = {}


def register(*providers: Provider) -> None:
    """Add providers; the same name again replaces the entry (apps may be loaded twice)."""
    for provider in providers:
        _providers[provider.name] = provider


def register_background(target: Target, *, icon: str, order: int = 100) -> None:
    """Register a target whose actions need no object, so that they are found by their labels."""
    _backgrounds[target] = (order, icon)


def search(text: str, user: Any, *, limit: int = PER_KIND) -> list[Kind]:
    """Return the hits that the user may see, by kind; without a text, pages and actions only.

    The text names an object, or an action and an object: "force rotation tde".
    """
    text = " ".join(text.replace("\x00", "").split())[:MAX_TEXT]
    words = text.casefold()
    around = [Kind(_("Go to"), _pages(words, user)), Kind(_("Actions"), _background_actions(words, user))]
    if not text:
        return _without_empty(around)
    verb, rest = _split_verb(text)
    found = _objects(rest, user, limit) if verb else []
    done = _actions_with_verb(verb, found, user) if verb else []
    if done:
        return _without_empty([Kind(_("Actions"), done), *found])
    found = _objects(text, user, limit)
    return _without_empty([*around, *_with_actions_of_best(found, words, user)])


def _without_empty(kinds: list[Kind]) -> list[Kind]:
    return [kind for kind in kinds if kind.hits]


def _pages(words: str, user: Any) -> list[Hit]:
    hits = [
        Hit(label=str(page["label"]), url=page["url"], icon=page["icon"], detail=section)
        for section, page in [*pages_for(user), *_pages_beside_the_tree()]
        if _fits(words, str(page["label"]), section, str(page.get("other_names", "")))
    ]
    # "log" finds System Logs before the other pages of Logging and Reporting.
    return sorted(hits, key=lambda hit: not _fits(words, hit.label))


def _pages_beside_the_tree() -> list[tuple[str, dict[str, Any]]]:
    """Return pages that are in the user's menu or below a page of the tree, with other names that people type."""
    pages = [
        (_("Profile"), "accounts:profile", "user", _("account password")),
        (
            _("Second factor"),
            "accounts:second_factor",
            "state-good",
            _("MFA 2FA TOTP two-factor passkey authenticator"),
        ),
        (_("Your sessions"), "accounts:own_sessions", "user", _("sign-ins devices")),
        (_("Approval policies"), "approvals:policies", "state-good", _("two four eyes dual control")),
        (_("Preferences"), "ui:preferences", "settings", ""),
        (_("Keyboard shortcuts"), "ui:shortcuts", "keyboard", ""),
    ]
    return [
        ("", {"label": label, "url": reverse(view), "icon": icon, "other_names": other_names})
        for label, view, icon, other_names in pages
    ]


def _fits(words: str, *labels: str) -> bool:
    """Return whether each word begins a word of the labels."""
    there = " ".join(labels).casefold().split()
    return all(any(each.startswith(word) for each in there) for word in words.split())


def _objects(text: str, user: Any, limit: int) -> list[Kind]:
    providers = sorted(_providers.values(), key=lambda provider: provider.order)
    return _without_empty(
        [
            Kind(str(provider.label), provider.find(text, limit))
            for provider in providers
            if user.has_right(provider.right)
        ]
    )


# --- Actions -----------------------------------------------------------------------------------
def _background_actions(words: str, user: Any) -> list[Hit]:
    hits = []
    for target, (_order, icon) in sorted(_backgrounds.items(), key=lambda entry: entry[1]):
        for submenu, item in flat_menu(menu_for(target, None, user)):
            if _fits(words, submenu, item.label):
                hits.append(_to_hit(submenu, item, icon=icon))
    return hits


def _split_verb(text: str) -> tuple[str, str]:
    """Return the longest beginning that begins the label of an action, and the rest; "" when there is none."""
    words = text.split()
    # A callable label counts a selection, and the palette has none.
    named = [action for action in all_actions() if isinstance(action.label, str | Promise)]
    for length in range(len(words) - 1, 0, -1):
        verb = " ".join(words[:length]).casefold()
        if len(verb) >= _SHORTEST_VERB and any(
            _is_called(verb, str(action.submenu), str(action.label)) for action in named
        ):
            return verb, " ".join(words[length:])
    return "", text


def _is_called(verb: str, submenu: str, label: str) -> bool:
    """Return whether the words begin what an action is called: "force rotation", "create random".

    One word may mean it by its stem: "rotate" is what people say for "Force Rotation".
    """
    if any(name.casefold().startswith(verb) for name in (label, f"{submenu} {label}")):
        return True
    is_long = " " not in verb and len(verb) >= _STEM
    return is_long and any(word.startswith(verb[:_STEM]) for word in label.casefold().split())


def _actions_with_verb(verb: str, found: list[Kind], user: Any) -> list[Hit]:
    with_menu = [hit for kind in found for hit in kind.hits if hit.target]
    return [
        _to_hit(submenu, item, icon=hit.icon, detail=hit.label)
        for hit in with_menu[:HITS_WITH_ACTIONS]
        for submenu, item in _items_of(hit, user)
        if _is_called(verb, submenu, item.label)
    ]


def _with_actions_of_best(found: list[Kind], words: str, user: Any) -> list[Kind]:
    """Add the actions of the first hit behind its kind, if the words begin its name."""
    best = next((hit for kind in found for hit in kind.hits[:1] if hit.target), None)
    if best is None or not best.is_meant_by(words):
        return found
    actions = Kind(_("Actions for %(name)s") % {"name": best.label}, _actions_of(best, user)[:ACTIONS_SHOWN])
    place = next(place for place, kind in enumerate(found) if best in kind.hits)
    return [*found[: place + 1], actions, *found[place + 1 :]]


def _actions_of(hit: Hit, user: Any) -> list[Hit]:
    return [_to_hit(submenu, item, icon=hit.icon, detail=hit.label) for submenu, item in _items_of(hit, user)]


def _items_of(hit: Hit, user: Any) -> list[tuple[str, MenuItem]]:
    """Return the entries of the hit's menu without the one that only opens the hit."""
    assert hit.target is not None
    items = flat_menu(menu_for(hit.target, hit.obj, user))
    return [(submenu, item) for submenu, item in items if item.url != hit.url]


def _to_hit(submenu: str, item: MenuItem, *, icon: str, detail: str = "") -> Hit:
    return Hit(
        label=f"{submenu} › {item.label}" if submenu else item.label,
        url=item.url,
        icon=icon,
        detail=detail,
        method=item.method,
        reason=item.reason,
    )
