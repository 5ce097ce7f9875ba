"""The job kind “set_enabled”."""
