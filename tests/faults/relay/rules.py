"""Which calls meet which damage, in what order, how often, and by whose dice."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.faults.relay.calls import Call, Part
from tests.faults.relay.damages import Damage

Draw = Callable[[random.Random, Call], Damage | None]


@dataclass
class Rule:
    """Damage for the calls that it matches.

    Attributes:
        damage: what is done, or a function that draws it from dice; None of it lets the call pass.
        method: an HTTP method, or "*".
        path: a pattern for the path, such as ``/keys/*/versions``; ids match like any text.
        part: the part of the cloud, None for any.
        port: the service's own port, None for any: each vault has one.
        skip: matching calls that pass first.
        count: matching calls that meet the damage; None for all that follow.
        chance: how likely a matching call meets it.
        probes: whether requests without a token to a vault count too.
        query: a text that the query must contain.

    """

    damage: Damage | Draw
    method: str = "*"
    path: str = "*"
    part: Part | None = None
    port: int | None = None
    skip: int = 0
    count: int | None = 1
    chance: float = 1.0
    probes: bool = False
    query: str = ""
    hits: int = field(default=0, init=False)

    def matches(self, call: Call) -> bool:
        """Return whether the rule speaks of this call."""
        return (
            self.method in {"*", call.method}
            and fnmatchcase(call.path, self.path)
            and self.part in {None, call.part}
            and self.port in {None, call.port}
            and (self.probes or not call.is_probe)
            and self.query in call.target.partition("?")[2]
        )


class RuleList:
    """The rules in force; the first that has something for a call wins. Safe for threads.

    Dice are thrown anew for each call, by the seed, the call's label and how often it came before. So
    calls that overlap don't change each other's luck.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._rules: list[Rule] = []
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force; returns it, so that its hits can be read."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """End all rules. The dice go on where they were."""
        with self._lock:
            self._rules.clear()

    def restart(self, seed: int) -> None:
        """End all rules and begin again with the dice of a seed."""
        with self._lock:
            self._rules.clear()
            self._times.clear()
            self.seed = seed

    def take(self, call: Call) -> Damage | None:
        """Return the damage that this call meets, and count it."""
        with self._lock:
            self._times[call.label] += 1
            dice = random.Random(f"{self.seed}:{call.label}:{self._times[call.label]}")
            for rule in self._rules:
                if not rule.matches(call) or rule.count == 0:
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.chance < 1 and dice.random() >= rule.chance:
                    continue
                damage = rule.damage if isinstance(rule.damage, Damage) else rule.damage(dice, call)
                if damage is None:
                    continue
                rule.hits += 1
                if rule.count is not None:
                    rule.count -= 1
                return damage
            return None
