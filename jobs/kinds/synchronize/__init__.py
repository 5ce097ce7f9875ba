"""The job kind “synchronize”."""
