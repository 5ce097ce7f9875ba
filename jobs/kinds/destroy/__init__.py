"""The job kind “destroy”."""
