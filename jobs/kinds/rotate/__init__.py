"""The job kind “rotate”."""
