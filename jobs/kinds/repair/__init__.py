"""The job kind “repair”."""
