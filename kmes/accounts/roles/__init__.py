"""Roles: those that are built in, and those that users make."""
