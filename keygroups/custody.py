"""The custody map: which HSM, through which credential, holds which key groups in which vault. Reads and draws.

Width is by the number of keys, color and words by the worst state below. Many groups are drawn in bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, Value, When
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import KeyVault
from hsm.models import HsmDevice
from keygroups.choices import KeyState
from keygroups.models import KeyGroup, group_url
from keygroups.rotation_standing import is_late
from keygroups.selectors import Attention, list_groups
from keygroups.states import GROUP_STATES, group_state
from kmes.ui.pictures import Cell, Picture, box, cut_label, label, link, ribbon

# With more groups than these the last column shows bins.
MOST_GROUPS = 24
# Owners that are drawn by themselves, those of the most key groups.
MOST_OWNERS = 24
# No owner's name has a line break.
_OTHERS = "\n"
BINS = ("state", "owner")
_WIDTH, _NODE, _ROW, _GAP, _TOP = 980, 190, 38, 8, 24
_RANKS = {"neutral": 0, "good": 1, "info": 1, "warning": 2, "bad": 3}
# What the color of a box says, as a sign.
_SIGNS = {"warning": "▲", "bad": "✕"}


@dataclass
class Node:
    """One box of the map: what it is called, how many keys are below it, and the worst state there."""

    name: str
    url: str
    keys: int = 0
    groups: int = 0
    colour: str = "neutral"
    words: list[str] = field(default_factory=list)
    y: float = 0

    def take(self, keys: int, groups: int, colour: str, word: str) -> None:
        """Count what is below, and keep the words of its worst state."""
        self.keys, self.groups = self.keys + keys, self.groups + groups
        if _RANKS[colour] > _RANKS[self.colour]:
            self.colour, self.words = colour, []
        if colour in {"warning", "bad"} and colour == self.colour and word not in self.words:
            self.words.append(word)

    @property
    def middle(self) -> float:
        """Return the height of its middle."""
        return self.y + _ROW / 2


@dataclass(frozen=True)
class Holding:
    """Key groups of one vault that are drawn as one line into the last column."""

    vault: KeyVault
    name: str
    url: str
    word: str
    colour: str
    groups: int
    keys: int


def read_custody(by: str) -> tuple[Picture, bool]:
    """Return the map, and whether its last column shows bins. ``by``: one of ``BINS``. At most five queries."""
    vaults = {vault.pk: vault for vault in _vaults_in_use()}
    # Counted first: reading some in the order of their names sorts all.
    is_binned = KeyGroup.objects.count() > MOST_GROUPS
    holdings = _binned(vaults, by) if is_binned else _single(vaults, list(list_groups()))
    device = (
        HsmDevice.objects.order_by("-is_designated", "-last_seen_at").only("label", "serial", "is_designated").first()
    )
    return _draw(device, holdings, is_binned=is_binned), is_binned


def _vaults_in_use() -> list[KeyVault]:
    vaults = KeyVault.objects.filter(Exists(KeyGroup.objects.filter(vault=OuterRef("pk"))))
    return list(vaults.select_related("credential").defer("credential__sealed_secret").order_by("name"))


def _state_of(value: str, *, is_late_now: bool) -> tuple[str, str]:
    """Return word and color of a group's state; a late rotation is worse than every state."""
    if is_late_now:
        return _("Rotation late"), "bad"
    state = GROUP_STATES[value]
    return str(state.label), "bad" if state.differs else state.colour


def _single(vaults: dict[Any, KeyVault], groups: Sequence[KeyGroup]) -> list[Holding]:
    late = set(KeyGroup.objects.filter(is_late()).values_list("pk", flat=True)[:MOST_GROUPS]) if groups else set()
    holdings = []
    for group in groups:
        word, colour = _state_of(group.shown_state, is_late_now=group.pk in late)  # type: ignore[attr-defined]
        keys = group.key_count  # type: ignore[attr-defined]
        holdings.append(Holding(vaults[group.vault_id], group.name, group_url(group.pk), word, colour, 1, keys))
    return sorted(holdings, key=lambda each: (each.vault.name, each.name))


def _binned(vaults: dict[Any, KeyVault], by: str) -> list[Holding]:
    groups = KeyGroup.objects.annotate(shown=group_state(), late_now=is_late())
    columns = ["vault_id", "shown", "late_now"]
    if by == "owner":
        alone = When(owner__in=["", *_largest_owners()], then=F("owner"))
        groups = groups.annotate(drawn_owner=Case(alone, default=Value(_OTHERS), output_field=CharField()))
        columns.append("drawn_owner")
    rows = (
        groups.order_by()
        .values(*columns)
        .annotate(groups=Count("pk", distinct=True), keys=Count("keys", filter=Q(keys__state=KeyState.PRESENT)))
    )
    holdings = []
    for row in rows:
        word, colour = _state_of(row["shown"], is_late_now=row["late_now"])
        name, url = _owner_bin(row["drawn_owner"]) if by == "owner" else _state_bin(row, word)
        holdings.append(Holding(vaults[row["vault_id"]], name, url, word, colour, row["groups"], row["keys"]))
    order = {name: place for place, name in enumerate(dict.fromkeys(sorted(each.name for each in holdings)))}
    return sorted(holdings, key=lambda each: (each.vault.name, order[each.name]))


def _state_bin(row: dict[str, Any], word: str) -> tuple[str, str]:
    keys = reverse("keygroups:keys")
    if row["late_now"]:
        return word, f"{keys}?{urlencode({'show': Attention.LATE})}"
    return word, f"{keys}?{urlencode({'view': 'state', 'state': row['shown']})}"


def _largest_owners() -> list[str]:
    rows = KeyGroup.objects.exclude(owner="").values("owner").annotate(groups=Count("pk"))
    return list(rows.order_by("-groups", "owner").values_list("owner", flat=True)[:MOST_OWNERS])


def _owner_bin(owner: str) -> tuple[str, str]:
    if not owner:
        return _("No owner"), reverse("keygroups:keys")
    if owner == _OTHERS:
        return _("Other owners"), reverse("keygroups:keys")
    return owner, f"{reverse('keygroups:keys')}?{urlencode({'q': owner})}"


# --- Drawing ---------------------------------------------------------------------------------
def _draw(device: HsmDevice | None, holdings: Sequence[Holding], *, is_binned: bool) -> Picture:
    top = Node(device.label if device else _("No device"), reverse("hsm:device"))
    credentials: dict[Any, Node] = {}
    vaults: dict[Any, Node] = {}
    last: dict[str, Node] = {}
    for each in holdings:
        vault = each.vault
        credential = credentials.setdefault(
            vault.credential_id, Node(vault.credential.name, vault.credential.get_absolute_url())
        )
        query = urlencode({"view": "vault", "vault": vault.pk})
        in_vault = vaults.setdefault(vault.pk, Node(vault.name, f"{reverse('keygroups:keys')}?{query}"))
        end = last.setdefault(each.url if not is_binned else each.name, Node(each.name, each.url))
        for node in (top, credential, in_vault, end):
            node.take(each.keys, each.groups, each.colour, each.word)
    columns = [[top], list(credentials.values()), list(vaults.values()), list(last.values())]
    height = _place(columns)
    shapes = [cut_label(_left(place), 14, name, _NODE, look="quiet") for place, name in enumerate(_headings())]
    shapes += _ribbons(top, credentials, vaults, last, holdings, is_binned=is_binned)
    shapes += [
        _box_of(node, place, is_group=place == 3 and not is_binned)
        for place, nodes in enumerate(columns)
        for node in nodes
    ]
    return Picture(
        "custody",
        _("Custody map"),
        _told(top, credentials, vaults),
        _WIDTH + 2,
        height,
        shapes,
        (_("Credential"), _("Key Vault"), _("Key groups"), _("State"), _("Number of key groups"), _("Keys")),
        [
            (
                Cell(each.vault.credential.name, each.vault.credential.get_absolute_url()),
                Cell(each.vault.name, vaults[each.vault.pk].url),
                Cell(each.name, each.url),
                Cell(each.word),
                Cell(str(each.groups)),
                Cell(str(each.keys)),
            )
            for each in holdings
        ],
        (
            ("fill-good", _("OK")),
            ("fill-warning", _("▲ Warning")),
            ("fill-bad", _("✕ Late, or differs from the vault")),
            ("fill-neutral", _("Nothing in the vault")),
        ),
        acts=True,
    )


def _headings() -> tuple[str, ...]:
    return (_("HSM"), _("Credential"), _("Key Vault"), _("Key groups"))


def _told(top: Node, credentials: dict[Any, Node], vaults: dict[Any, Node]) -> str:
    said = _("HSM %(hsm)s, %(credentials)s, %(vaults)s, %(groups)s with %(keys)s.") % {
        "hsm": top.name,
        "credentials": ngettext("%d credential", "%d credentials", len(credentials)) % len(credentials),
        "vaults": ngettext("%d vault", "%d vaults", len(vaults)) % len(vaults),
        "groups": _groups(top.groups),
        "keys": _keys(top.keys),
    }
    if not top.words:
        return said
    return _("%(said)s Worst state: %(words)s.") % {"said": said, "words": ", ".join(top.words)}


def _groups(count: int) -> str:
    return ngettext("%d key group", "%d key groups", count) % count


def _keys(count: int) -> str:
    return ngettext("%d key", "%d keys", count) % count


def _left(column: int) -> float:
    return column * (_WIDTH - _NODE) / 3


def _place(columns: Sequence[Sequence[Node]]) -> int:
    """Give each node its height, each column centered; return the height of the whole."""
    tallest = max(len(nodes) for nodes in columns) or 1
    height = _TOP + tallest * (_ROW + _GAP)
    for nodes in columns:
        step = (height - _TOP) / max(len(nodes), 1)
        for place, node in enumerate(nodes):
            node.y = _TOP + place * step + (step - _ROW) / 2
    return height + 4


def _ribbons(
    top: Node,
    credentials: dict[Any, Node],
    vaults: dict[Any, Node],
    last: dict[str, Node],
    holdings: Sequence[Holding],
    *,
    is_binned: bool,
) -> list[SafeString]:
    lines: dict[tuple[int, str, str], tuple[int, Node, Node, Node]] = {}
    for each in holdings:
        credential, vault = credentials[each.vault.credential_id], vaults[each.vault.pk]
        end = last[each.name if is_binned else each.url]
        for place, (one, other) in enumerate(((top, credential), (credential, vault), (vault, end))):
            key = (place, f"{one.url}{one.name}", f"{other.url}{other.name}")
            _column, _one, _other, sums = lines.setdefault(key, (place, one, other, Node("", "")))
            sums.take(each.keys, each.groups, each.colour, each.word)
    return [
        ribbon(
            _left(place) + _NODE,
            one.middle,
            _left(place + 1),
            other.middle,
            width=min(24.0, 2 + 2 * math.log2(1 + sums.keys)),
            look=f"ribbon line-{sums.colour}",
            tip=f"{one.name} › {other.name}: {_say(sums)}",
        )
        for place, one, other, sums in lines.values()
    ]


def _say(node: Node) -> str:
    return " · ".join([f"{_groups(node.groups)}, {_keys(node.keys)}", *node.words[:2]])


def _box_of(node: Node, column: int, *, is_group: bool) -> SafeString:
    left = _left(column)
    counted = _keys(node.keys) if is_group else f"{_groups(node.groups)}, {_keys(node.keys)}"
    said = node.words[0] if is_group and node.words else counted
    shapes = [
        box(left, node.y, _NODE, _ROW, look="node", corner=4, tip=f"{node.name}: {_say(node)}"),
        box(left, node.y, 6, _ROW, look=f"fill-{node.colour}", corner=2),
        cut_label(left + 14, node.y + 16, node.name, _NODE - 40, look="strong"),
        cut_label(left + 14, node.y + 31, said, _NODE - 20, look="quiet small"),
    ]
    if node.colour in _SIGNS:
        shapes.append(
            label(left + _NODE - 8, node.y + 16, _SIGNS[node.colour], look=f"sign-{node.colour}", anchor="end")
        )
    return link(node.url, f"{node.name}: {_say(node)}", shapes)
