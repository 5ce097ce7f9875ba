"""How a cloud has to be set up for the console, and what to do about a check that failed: plain data for pages."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Permission:
    """A permission: the cloud's word, what it is for, and whether the console needs it."""

    name: str
    reason: str
    is_needed: bool = True


@dataclass(frozen=True)
class Command:
    """A command for a shell, and what it does."""

    label: str
    text: str


@dataclass(frozen=True)
class Step:
    """One step of the set-up: why, the way through the portal, and the same as commands."""

    anchor: str
    title: str
    why: str
    portal: str
    commands: list[Command]


@dataclass(frozen=True)
class Purpose:
    """A service that can use a pushed key, and what it asks of key and vault."""

    name: str
    text: str


@dataclass(frozen=True)
class Guide:
    """The whole set-up. ``hosts`` are pairs of host with port, and what it is for."""

    steps: list[Step]
    permissions: list[Permission]
    hosts: list[tuple[str, str]]
    purposes: list[Purpose]


@dataclass(frozen=True)
class Remedy:
    """What to do about a failed check: in words, in the portal, and as commands.

    ``is_repeat``: the page shows the same commands further up.
    """

    text: str
    portal: str = ""
    commands: list[Command] = field(default_factory=list)
    is_repeat: bool = False
