"""The job kind “prove”."""
