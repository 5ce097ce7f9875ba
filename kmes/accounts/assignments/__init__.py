"""Roles that are given for a scope: certain key vaults, certain key groups, or key groups with a tag."""
