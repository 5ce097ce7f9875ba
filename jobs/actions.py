"""Stub."""


def register_all() -> None: ...
