"""Approvals: policies, requests and decisions, and their pages. What a worker checks is in ``jobs.engine``."""
