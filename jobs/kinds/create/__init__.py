"""The job kind “create”."""
