"""The job kind “list_vaults”."""
