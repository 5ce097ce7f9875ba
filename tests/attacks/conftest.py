"""Fixtures of the attacks: the log's rows can be removed after tests that commit."""

from __future__ import annotations

from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]
