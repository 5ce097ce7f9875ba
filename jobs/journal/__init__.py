"""Ledgers of what was announced to the vault before it was done: changing calls and ephemeral KEKs."""
