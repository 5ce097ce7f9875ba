"""The job kind “set_tags”."""
