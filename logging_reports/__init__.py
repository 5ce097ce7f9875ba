"""Append-only log with hash chain, System Logs pages, CSV export; the only home of django-rq."""
