"""Dual login: a second administrator signs in before a session may act (docs/dual-login.md)."""
